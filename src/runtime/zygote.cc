#include "runtime/zygote.h"

#include <signal.h>

#include <cerrno>
#include <cstring>

#include "sys/fault.h"

namespace mayfly::runtime {
namespace {

constexpr size_t kMaxMessageBytes = 64;
constexpr int64_t kEndGraceUs = 5 * kMicrosPerSecond;  // SIGKILL of a namespace takes milliseconds; a machine that swaps takes longer

uint32_t number_at(const std::string& bytes, size_t at) {
  uint32_t out = 0;
  if (bytes.size() >= at + sizeof out) std::memcpy(&out, bytes.data() + at, sizeof out);
  return out;
}

std::string order_about(char order, uint32_t token) {
  std::string out(1, order);
  out.append(reinterpret_cast<const char*>(&token), sizeof token);
  return out;
}

}  // namespace

io::Task<Expected<void, StartError>> Zygote::configure(std::string configuration, io::Deadline deadline) {
  if (configuration.size() > sandbox::kMaxPlanBytes) co_return fail(StartError::sandbox, sandbox::too_large(configuration.size()));
  if (!sys::send_message(sandbox().control(), configuration)) co_return fail(StartError::sandbox, "the interpreter ended before it was configured");
  auto waited = co_await ready_.wait(deadline);
  if (waited == io::Wait::timed_out) co_return fail(StartError::timed_out, "the interpreter was not ready in time");
  if (!alive_) co_return fail(StartError::sandbox, "the interpreter ended while it started", "its own words are on the server's standard error");
  co_return Expected<void, StartError>{};
}

uint32_t Zygote::ask_fork(std::vector<sys::Fd> entries, For purpose) {
  uint32_t token = next_token_++;
  std::string request = order_about(purpose == For::later ? 'A' : 'F', token);
  std::vector<int> fds;
  for (const auto& entry : entries) fds.push_back(entry.get());
  bool sent = alive_ && sys::send_message(sandbox().control(), request, fds);
  auto fork = std::make_shared<Fork>(shard_);
  forks_[token] = fork;
  ++living_;
  if (!sent) fork->process.set({});
  if (!sent && alive_) {  // it has ended, and its reader has not come to see that: the next start makes another
    alive_ = false;
    sandbox().kill();
  }
  return token;
}

io::Task<Expected<Forked, StartError>> Zygote::forked(uint32_t token, io::Deadline deadline) {
  auto fork = forks_.at(token);
  auto process = co_await fork->process.wait(deadline);
  if (process && process->frames) co_return std::move(*process);
  forks_.erase(token);
  if (!process) co_return fail(StartError::timed_out, "the interpreter did not fork an instance in time");
  one_less();
  co_return fail(StartError::sandbox, "the interpreter this instance would be forked from has ended");
}

io::Task<std::optional<int>> Zygote::exit_of(uint32_t token, io::Deadline deadline) {
  auto fork = forks_.at(token);
  auto status = co_await fork->exit.wait(deadline);
  forks_.erase(token);
  co_return status;
}

void Zygote::signal(char order, uint32_t token) {
  if (alive_) (void)sys::try_send_message(sandbox().control(), order_about(order, token));
}

void Zygote::one_less() {
  --living_;
  if (retired_ && living_ == 0) close();
}

void Zygote::retire() {
  retired_ = true;
  if (living_ == 0) close();
}

void Zygote::take(sys::Message message) {
  if (message.bytes.empty()) return;
  uint32_t token = number_at(message.bytes, 1);
  auto found = forks_.find(token);
  switch (message.bytes[0]) {
    case 'R':
      ready_.set();
      break;
    case 'f':
      if (message.fds.size() != 3) break;
      if (found == forks_.end()) {  // nobody waits any more: it must not live on
        sys::kill(message.fds[2], SIGKILL);
        break;
      }
      sys::set_nonblocking(message.fds[1].get());
      found->second->process.set({std::move(message.fds[0]), std::move(message.fds[1]), std::move(message.fds[2]), token});
      break;
    case 'x':
      if (found != forks_.end()) found->second->exit.set(static_cast<int>(number_at(message.bytes, 5)));
      one_less();
      break;
    default:
      break;
  }
}

// It has ended, and with it all it forked: whoever waits is told.
void Zygote::lost() {
  alive_ = false;
  ready_.set();
  for (auto& [token, fork] : forks_) {
    fork->process.set({});
    fork->exit.set(SIGKILL);
  }
}

// A fork whose descriptors found no place here ends by itself, for they are closed, and who waits for it waits until its deadline.
sys::Received Zygote::receive(sys::Message& message) {
  try {
    return sys::receive_message(sandbox().control(), kMaxMessageBytes, message);
  } catch (const sys::Fault& fault) {
    fmt::print(stderr, "mayfly: a message of a function's interpreter is lost: {}\n", fault.what());
    return fault.error() == EMFILE ? sys::Received::message : sys::Received::closed;
  }
}

io::Task<void> Zygote::read_messages(std::shared_ptr<Zygote> self) {
  bool open = true;
  while (open) {
    sys::Message message;
    switch (self->receive(message)) {
      case sys::Received::message:
        self->take(std::move(message));
        continue;
      case sys::Received::closed:
        open = false;
        continue;
      case sys::Received::nothing:
        break;
    }
    if (!co_await self->shard_.wait_readable(self->sandbox().control(), io::Deadline::never())) open = false;
  }
  self->sandbox().kill();
  (void)co_await self->shard_.wait_readable(self->sandbox().whole().get(), io::Deadline::after_us(self->shard_, kEndGraceUs));
  self->lost();
}

void Zygote::close() {
  if (alive_) sandbox().kill();  // its end of the control socket closes, which wakes read_messages
}

}  // namespace mayfly::runtime
