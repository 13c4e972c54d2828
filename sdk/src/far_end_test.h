#pragma once
// The server's side of a link, for tests: an Instance runs on a thread of its own, the test speaks frames over a socketpair.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "instance.h"

namespace mayfly::detail {

struct Received {
  FrameHeader header;
  std::string meta, payload;
  int sealed = 0;  // seals of the file that the payload came in, if it did
  Json json() const { return Json::parse(payload); }
};

class FarEnd {
 public:
  // `born_on`: the cores of the instance's thread at its birth.
  explicit FarEnd(std::vector<Function> functions, const cpu_set_t* born_on = nullptr) : functions_(std::move(functions)) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fd_ = ends[0];
    thread_ = std::thread([this, theirs = ends[1], born_on] {
      if (born_on) EXPECT_EQ(::sched_setaffinity(0, sizeof *born_on, born_on), 0);
      status_ = Instance(theirs, functions_, "program").run();
      ::close(theirs);
    });
  }
  ~FarEnd() { close(); }

  // What the process would have exited with, after the server closed the link.
  int close() {
    if (fd_ >= 0) ::shutdown(fd_, SHUT_WR);
    if (thread_.joinable()) thread_.join();
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    return status_;
  }

  static Json start_json(std::string handler = "program", int concurrency = 1) {
    return Json{{"instance_id", "c-1"}, {"memfd", true}, {"memory_bytes", 0}, {"credentials", Json::array({"id", "secret", "token"})}, {"code", "/code"}, {"handler", handler},
                {"initializer", ""}, {"environment", Json{{"GREETING", "hello"}}}, {"concurrency", concurrency}, {"region", "cn-hangzhou"}, {"account", "123"},
                {"function", Json{{"name", "faces"}, {"handler", handler}, {"memory", 256}, {"timeout", 60}}},
                {"service", Json{{"name", "photos"}, {"log_project", "p"}, {"log_store", "s"}, {"qualifier", "LATEST"}, {"version_id", ""}}},
                {"pre_stop", ""}, {"pre_freeze", ""}};
  }
  Received start(const Json& json = start_json()) {
    send({.kind = FrameKind::start}, "", json.dump());
    Received first = receive();
    imported_ = first.header.kind == FrameKind::imported;
    return imported_ ? receive() : first;
  }
  bool imported() const { return imported_; }  // it said that its initializer began

  static constexpr std::string_view kKeys{"id\0secret\0token", 15};
  static std::string meta(std::string_view http = "", std::string_view request_id = "r-1", std::string_view keys = kKeys) {
    return std::string(request_id) + '\1' + std::string(keys) + '\1' + std::string(http);
  }
  static std::string bytes(FrameHeader header, std::string_view meta, std::string_view payload) {
    header.meta_size = static_cast<uint32_t>(meta.size());
    header.payload_size = static_cast<uint32_t>(payload.size());
    return std::string(reinterpret_cast<const char*>(&header), sizeof header).append(meta).append(payload);
  }
  static std::string call_bytes(uint32_t number, std::string_view payload, std::string_view http = "") {
    return bytes({.kind = FrameKind::call, .call = number}, meta(http), payload);
  }

  void send(FrameHeader header, std::string_view meta, std::string_view payload) { send_raw(bytes(header, meta, payload)); }
  void send_raw(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0);
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  Received call(std::string_view payload, std::string_view http = "", uint32_t number = 7) {
    send_raw(call_bytes(number, payload, http));
    return receive();
  }
  Received call_with_file(std::string_view payload, uint32_t number = 7) {
    int file = ::memfd_create("body", MFD_ALLOW_SEALING);
    EXPECT_EQ(::write(file, payload.data(), payload.size()), static_cast<ssize_t>(payload.size()));
    ::fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    std::string frame = bytes({.kind = FrameKind::call, .status = static_cast<FrameStatus>(kInMemfd), .call = number}, meta(), "");
    uint32_t size = static_cast<uint32_t>(payload.size());
    std::memcpy(frame.data(), &size, sizeof size);  // payload_size is the header's first field
    iovec part{frame.data(), frame.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof file)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* passed = CMSG_FIRSTHDR(&message);
    passed->cmsg_level = SOL_SOCKET;
    passed->cmsg_type = SCM_RIGHTS;
    passed->cmsg_len = CMSG_LEN(sizeof file);
    std::memcpy(CMSG_DATA(passed), &file, sizeof file);
    EXPECT_EQ(::sendmsg(fd_, &message, 0), static_cast<ssize_t>(frame.size()));
    ::close(file);
    return receive();
  }
  Received hook(std::string_view name, std::string_view request_id = "h-1", std::string_view keys = kKeys) {
    return hook_frame(std::string(name) + '\1' + std::string(request_id) + '\1' + std::string(keys));
  }
  Received hook_frame(std::string_view meta) {
    send({.kind = FrameKind::hook, .call = 9}, meta, "");
    return receive();
  }

  Received receive() {
    Received out;
    int file = -1;
    if (!read_header(out.header, file)) return out;
    out.meta.resize(out.header.meta_size);
    out.payload.resize(out.header.payload_size);
    read_all(out.meta.data(), out.meta.size());
    if (file < 0) {
      read_all(out.payload.data(), out.payload.size());
      return out;
    }
    out.sealed = ::fcntl(file, F_GET_SEALS);
    EXPECT_EQ(::pread(file, out.payload.data(), out.payload.size(), 0), static_cast<ssize_t>(out.payload.size()));
    ::close(file);
    return out;
  }
  // Everything one read gives, without waiting for more.
  std::string read_once() {
    std::string out(1 << 20, '\0');
    ssize_t got = ::recv(fd_, out.data(), out.size(), 0);
    out.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return out;
  }

 private:
  std::vector<Function> functions_;
  bool imported_ = false;
  int fd_ = -1;
  int status_ = -1;
  std::thread thread_;

  // `file`: what came along, else untouched.
  bool read_header(FrameHeader& header, int& file) {
    iovec part{&header, sizeof header};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof file)];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(fd_, &message, MSG_WAITALL) != static_cast<ssize_t>(sizeof header)) return false;
    if (cmsghdr* passed = CMSG_FIRSTHDR(&message)) std::memcpy(&file, CMSG_DATA(passed), sizeof file);
    return true;
  }
  bool read_all(void* into, size_t size) {
    return size == 0 || ::recv(fd_, into, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }
};

inline Function echo() {
  return function("echo", [](Event event) { return std::string(event.body); });
}

}  // namespace mayfly::detail
