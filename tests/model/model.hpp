// SPDX-License-Identifier: MIT
//
// A model: a small program of a few threads that is run once for every order in which they can take
// turns.
//
//     MODEL(a_post_wakes_a_sleeping_loop) {
//         EventLoop loop;
//         std::thread poster([&] { loop.call_soon_threadsafe([&] { loop.stop(); }); });
//         loop.run_forever();
//         poster.join();
//         loop.close();
//     }
//
// It uses the library as any program does; checker.hpp says what is checked. The body must do the
// same each time: nothing random, no state that a run leaves to the next, no system calls but those
// of system.cpp.
#pragma once

#include <cstdint>

namespace model {

struct Limits {
    /// How often a thread that could have gone on is interrupted.
    int preemptions = 2;
    /// How often a load returns something older than the newest value, where it may.
    int stale_reads = 2;
    /// Turns of one run: more are a livelock.
    std::uint32_t turns = 20'000;
    std::uint64_t runs = 20'000'000;
};

struct Model {
    enum class Of : std::uint8_t { library, checker };
    const char* name;
    void (*body)();
    Of of;
    /// What the checker has to say about the fault that is in it; null: it must hold.
    const char* fault;
    Limits limits;
    Model* next = nullptr;
};

/// Puts the model into the list.
class Registration {
  public:
    explicit Registration(Model& model) noexcept;
};
Model* all_models() noexcept;

[[noreturn]] void fail(const char* what) noexcept;

}  // namespace model

#define MODEL_CHECK(condition)                                        \
    do {                                                              \
        if (!(condition)) ::model::fail("check failed: " #condition); \
    } while (false)

/// A model that must hold; what follows the name are fields of Limits, `.preemptions = 3`.
#define MODEL(name, ...) ASYNCIO_MODEL(name, library, nullptr __VA_OPT__(, ) __VA_ARGS__)
/// Of the checker: a program with a fault, for which it must say something that contains `words`.
#define FAULTY_MODEL(name, words, ...) \
    ASYNCIO_MODEL(name, checker, words __VA_OPT__(, ) __VA_ARGS__)
/// And one without.
#define SOUND_MODEL(name, ...) ASYNCIO_MODEL(name, checker, nullptr __VA_OPT__(, ) __VA_ARGS__)

#define ASYNCIO_MODEL(name, of, words, ...)                                         \
    static void name();                                                             \
    static ::model::Model name##_model{#name, &name, ::model::Model::Of::of, words, \
                                       ::model::Limits{__VA_ARGS__}};               \
    static const ::model::Registration name##_registration(name##_model);           \
    static void name()
