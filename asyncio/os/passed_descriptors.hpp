// SPDX-License-Identifier: MIT
//
// PassedDescriptors: which descriptors came with a message, read from its control data.
//
// Who receives control data owns every descriptor in it: those that the peer sent (SCM_RIGHTS), and
// one of its process where somebody has set SO_PASSPIDFD. So all are found, in whatever number of
// headers, among whatever others. Nothing is read behind the data: a header that says more has as
// many as are there, one that says less than itself ends the reading.
//
// Pure: bytes in, numbers out. Any thread.
#pragma once

#include <cstddef>
#include <span>

namespace asyncio::os {

class PassedDescriptors {
  public:
    /// `control`: as the system left it, msg_controllen bytes. The data must stay.
    explicit PassedDescriptors(std::span<const std::byte> control) noexcept : rest_(control) {}

    /// The next one; false when there is none.
    bool next() noexcept;

    int number() const noexcept { return number_; }
    /// Sent by the peer; not: the system's, for the peer's process.
    bool is_sent() const noexcept { return is_sent_; }

  private:
    void next_header() noexcept;

    std::span<const std::byte> rest_;     // from the next header on
    std::span<const std::byte> numbers_;  // of this header
    int number_ = -1;
    bool is_sent_ = false;
};

/// Descriptors taken over from control data.
struct TakenDescriptors {
    std::size_t count = 0;
    bool dropped = false;  // one that was sent found no room
};

/// Those that were sent go to the front of `into` and are the caller's; all others are closed.
TakenDescriptors take_descriptors(std::span<const std::byte> control, std::span<int> into) noexcept;

}  // namespace asyncio::os
