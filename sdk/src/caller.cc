#include "caller.h"

#include <cxxabi.h>

#include <cstdio>
#include <iostream>

#include "trace.h"

namespace mayfly::detail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kLongestPiece = 1 << 20;  // of a stream: a larger write becomes several frames

// The bytes of one UTF-8 character at the beginning of `text`, 0 if there is none.
size_t character(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80) return 1;
  size_t size = first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : first >= 0xF0 && first < 0xF5 ? 4 : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  bool outside = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) || (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F);
  return outside ? 0 : size;
}

std::string printable(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t size = character(text.substr(at));
    out.append(size == 0 ? "\xEF\xBF\xBD" : text.substr(at, size));
    at += std::max<size_t>(size, 1);
  }
  return out;
}

std::string error_json(std::string_view message, std::string_view type, const std::vector<std::string>& stack) {
  Json::Items lines(stack.begin(), stack.end());
  return Json{{"errorMessage", printable(message)}, {"errorType", type}, {"stackTrace", Json::array(std::move(lines))}}.dump();
}

// {"status":200,"headers":{"Name":["value",...]}}
std::string head_of(const Reply& reply) {
  std::string out = "{\"status\":" + std::to_string(reply.status()) + ",\"headers\":{";
  Json::Members lists;
  auto add = [&](std::string_view name, std::string_view value) {
    for (auto& [known, values] : lists)
      if (known == name) return values.push_back(value);
    lists.emplace_back(name, Json::array({Json(value)}));
  };
  for (const auto& [name, value] : reply.headers()) add(name, value);
  bool first = true;
  auto next = [&](std::string_view name) {
    if (!first) out += ',';
    first = false;
    append_json_string(out, name);
    out += ':';
  };
  if (!reply.type().empty()) {
    next("Content-Type");
    out += '[';
    append_json_string(out, reply.type());
    out += ']';
  }
  for (const auto& [name, values] : lists) {
    next(name);
    values.dump_to(out);
  }
  return out += "}}";
}

// Sends the head of the reply before the first piece, so that a body that fails at once is an ordinary error.
class FrameWriter final : public Writer {
 public:
  FrameWriter(Link& link, uint32_t call, std::string head) : link_(link), call_(call), head_(std::move(head)) {}

  void write(std::string_view piece) override {
    begin();
    while (!piece.empty()) {
      link_.send({.kind = FrameKind::chunk, .call = call_}, {}, piece.substr(0, kLongestPiece), When::now);
      piece.remove_prefix(std::min(piece.size(), kLongestPiece));
    }
  }
  void begin() {
    if (!std::exchange(begun_, true)) link_.send({.kind = FrameKind::head, .call = call_}, head_, {}, When::later);
  }

 private:
  Link& link_;
  uint32_t call_;
  std::string head_;
  bool begun_ = false;
};

// What the handler printed must be out before its answer is, to belong to this call.
void flush_output() {
  std::fflush(stdout);
  std::cout.flush();
}

}  // namespace

CallMeta call_meta(std::string_view meta) {
  size_t first = meta.find('\1'), second = first == meta.npos ? first : meta.find('\1', first + 1);
  if (second == meta.npos) throw LinkError("a call without its three fields");
  return {meta.substr(0, first), meta.substr(first + 1, second - first - 1), meta.substr(second + 1)};
}

HookMeta hook_meta(std::string_view meta) {
  if (meta.find('\1') == meta.npos) return {meta, {}, {}};
  CallMeta parts = call_meta(meta);
  return {parts.request_id, parts.keys, parts.http};
}

std::string error_body(std::string_view message, std::string_view type) { return error_json(message, type, {}); }

std::string error_body() {
  try {
    throw;
  } catch (const Error& error) {
    return error_json(error.what(), error.type(), stack_of(dynamic_cast<const void*>(&error)));
  } catch (const std::exception& error) {
    return error_json(error.what(), demangled(typeid(error).name()), stack_of(dynamic_cast<const void*>(&error)));
  } catch (const std::string& text) {
    return error_json(text, "std::string", stack_of(&text));
  } catch (const char* text) {
    return error_json(text, "const char*", stack_of(nullptr));
  } catch (...) {
    auto* type = abi::__cxa_current_exception_type();
    return error_json("an exception that is no std::exception", type ? demangled(type->name()) : "unknown", stack_of(nullptr));
  }
}

void Caller::run(const Function::Hook& hook, std::string_view request_id, std::string_view keys) const {
  if (!hook) return;
  Context context(about_, request_id, keys, 0, Clock::now());
  watch_throws();
  hook(context);
}

std::string Caller::run_hook(const HookMeta& hook) const try {
  if (hook.name != "preStop" && hook.name != "preFreeze") throw LinkError("no hook is called '" + std::string(hook.name) + "'");
  run(hook.name == "preStop" ? function_.pre_stop() : function_.pre_freeze(), hook.request_id, hook.keys);
  return {};
} catch (abi::__forced_unwind&) {
  throw;  // a thread is being cancelled
} catch (...) {
  std::string error = error_body();
  flush_output();
  Log(about_.log_fd, hook.request_id).error(hook.name, " failed: ", error);
  return error;
}

Caller::Time Caller::answer(const Frame& frame, Time began, When when) {
  return frame.header.kind == FrameKind::hook ? answer_hook(frame, began) : answer_call(frame, began, when);
}

Caller::Time Caller::answer_call(const Frame& frame, Time began, When when) {
  CallMeta meta = call_meta(frame.meta);
  Request request(meta.http, frame.payload);
  Context context(about_, meta.request_id, meta.keys, frame.header.retries, began);
  FrameHeader header{.kind = FrameKind::reply, .call = frame.header.call};
  watch_throws();
  try {
    Reply reply = function_.handler()(request, context);
    if (!reply.body_stream()) return finish(header, began, request.is_http() ? head_of(reply) : std::string(), reply.body(), when);
    stream(reply, header.call, request.is_http());
    return finish(header, began, {}, {}, when);
  } catch (abi::__forced_unwind&) {
    throw;  // a thread is being cancelled
  } catch (...) {
    header.status = FrameStatus::handled_error;
    return finish(header, began, {}, error_body(), when);
  }
}

Caller::Time Caller::finish(FrameHeader header, Time began, std::string_view meta, std::string_view body, When when) {
  if (body.size() > kMaxPayloadBytes || meta.size() > kMaxMetaBytes) {
    header.status = FrameStatus::handled_error;
    std::string error = error_body("the reply has " + std::to_string(body.size()) + " bytes and " + std::to_string(meta.size()) + " of headers; at most " +
                                       std::to_string(kMaxPayloadBytes) + " and " + std::to_string(kMaxMetaBytes) + " can be sent, or a stream of any length",
                                   "ReplyTooLarge");
    return finish(header, began, {}, error, when);
  }
  flush_output();
  Time ended = Clock::now();
  header.duration_us = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(ended - began).count());
  link_.send(header, meta, body, when);
  return ended;
}

void Caller::stream(const Reply& reply, uint32_t call, bool http) {
  FrameWriter writer(link_, call, http ? head_of(reply) : std::string());
  reply.body_stream()(writer);
  writer.begin();  // a body without a piece
}

Caller::Time Caller::answer_hook(const Frame& frame, Time began) {
  std::string error = run_hook(hook_meta(frame.meta));
  FrameHeader header{.kind = FrameKind::reply, .status = error.empty() ? FrameStatus::ok : FrameStatus::handled_error, .call = frame.header.call};
  return finish(header, began, {}, error, When::now);
}

}  // namespace mayfly::detail
