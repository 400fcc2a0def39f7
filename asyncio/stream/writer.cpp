// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/stream/bytes.hpp>
#include <asyncio/stream/writer.hpp>

#include <cerrno>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>

namespace asyncio {

namespace stream {

void DrainAwaiter::suspend_in(coro::Driver& driver) noexcept {
    ::new (&wait_) DrainWait;
    if (core_->paused() && !core_->lost()) {
        stage_ = Stage::waited_for_drain;
        wait_.suspend(driver, core_->drained().waits());
    } else {  // it is closing: one turn of the loop, so that a loop of write and drain notices
        stage_ = Stage::waited;
        wait_.suspend_for_a_turn(driver);
    }
}

void DrainAwaiter::finish() {
    if (stage_ >= Stage::waited) wait_.resume();
    if (core_->error()) std::rethrow_exception(core_->error());
    if (core_->lost() && stage_ != Stage::waited_for_drain)
        throw std::system_error(ECONNRESET, std::generic_category(), "Connection lost");
}

}  // namespace stream

StreamWriter& StreamWriter::operator=(StreamWriter&& other) noexcept {
    if (this == &other) return *this;
    StreamWriter old(std::move(*this));
    core_ = std::move(other.core_);
    return *this;
}

StreamWriter::~StreamWriter() {
    if (!core_ || core_->is_closing()) return;
    if (std::uncaught_exceptions() == 0)  // else there is something worse to report
        log(LogLevel::warning, "unclosed StreamWriter: its connection is closed now");
    core_->transport()->close();
}

void StreamWriter::write_gathered(const std::span<const std::byte>* lines,
                                  std::size_t count) const {
    stream::Transport* transport = core_->transport();
    if (transport != nullptr && count != 0) transport->writelines({lines, count});
}

std::span<const std::byte> StreamWriter::bytes_of(std::string_view text) noexcept {
    return stream::bytes_of(text);
}

void StreamWriter::write(std::string_view data) const { write(bytes_of(data)); }

bool StreamWriter::can_write_eof() const noexcept {
    const stream::Transport* transport = core_->transport();
    return transport != nullptr && transport->can_write_eof();
}

void StreamWriter::write_eof() const {
    if (stream::Transport* transport = core_->transport()) transport->write_eof();
}

void StreamWriter::close() const {
    if (stream::Transport* transport = core_->transport()) transport->close();
}

void StreamWriter::abort() const {
    if (stream::Transport* transport = core_->transport()) transport->abort();
}

std::size_t StreamWriter::write_buffer_size() const noexcept {
    const stream::Transport* transport = core_->transport();
    return transport != nullptr ? transport->get_write_buffer_size() : 0;
}

void StreamWriter::set_write_buffer_limits(Option<std::size_t> high,
                                           Option<std::size_t> low) const {
    if (stream::Transport* transport = core_->transport())
        transport->set_write_buffer_limits(high, low);
}

const SocketAddress& StreamWriter::peername() const { return core_->transport()->peername(); }

const SocketAddress& StreamWriter::sockname() const { return core_->transport()->sockname(); }

const ssl::SSLObject* StreamWriter::ssl() const noexcept {
    const stream::Transport* transport = core_->transport();
    return transport != nullptr ? transport->ssl_object() : nullptr;
}

namespace {

Coro<Ref<stream::SecureLayer>> begin_upgrade(Ref<stream::StreamCore> core,
                                             stream::Security security) {
    struct Abort {  // else it is left open, in the clear
        ~Abort() {
            if (!begun) transport->abort();
        }
        Ref<stream::Transport> transport;
        bool begun = false;
    } unless{Ref<stream::Transport>(core->transport())};
    co_await stream::OnStream<stream::DrainAwaiter>(core);
    if (core->is_closing() || core->eof())
        throw std::system_error(ECONNRESET, std::generic_category(), "start_tls");
    const Ref<stream::SecureLayer> layer = security.wrap(core);
    core->put_behind(*layer);
    unless.begun = true;
    co_return layer;
}

Coro<> upgrade(Ref<stream::StreamCore> core, stream::Security security) {
    const Ref<stream::SecureLayer> layer = co_await begin_upgrade(core, std::move(security));
    co_await stream::handshake(layer);
}

}  // namespace

ASYNCIO_CORO_WRAPPER
Coro<> StreamWriter::start_tls(const stream::SecureContext& context,
                               StartTlsOptions options) const {
    if (core_->transport() == nullptr)
        throw std::logic_error("start_tls: this stream has no connection");
    const stream::SecureArguments arguments = stream::arguments_of(context, options);
    const bool server_side = options.server_side.value_or(core_->server_side());
    const std::string_view host = core_->host ? std::string_view(*core_->host) : "";
    return upgrade(core_, server_side ? stream::server_security(arguments)
                                      : stream::client_security(arguments, host));
}

}  // namespace asyncio
