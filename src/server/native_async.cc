// The part of Mayfly's own API about asynchronous calls: dead letters, and the end of a call by its request id.

#include "base/encoding.h"
#include "server/native_api.h"
#include "server/native_reply.h"

namespace mayfly::server {
namespace {

json::object letter_json(const dispatch::DeadLetter& letter) {
  const dispatch::Target& target = letter.invocation.target;
  return {{"id", letter.id}, {"requestId", letter.invocation.request_id}, {"service", target.service}, {"function", target.function},
          {"qualifier", target.qualifier}, {"task", letter.task_id}, {"source", letter.invocation.source}, {"reason", letter.reason},
          {"firstError", letter.first_error}, {"lastError", letter.last_error}, {"attempts", letter.attempts}, {"systemTries", letter.system_tries},
          {"since", iso8601_ms(letter.since_us)}, {"died", iso8601_ms(letter.died_us)}, {"payloadBase64", base64_encode(letter.invocation.payload)}};
}

constexpr uint64_t kMostNumber = 1'000'000'000;  // of seconds, which is 31 years, and of letters to end

// The number that `name` gives, if it was sent; what is wrong with it, or "".
std::string read_number(const http::Query& query, std::string_view name, uint64_t least, uint64_t most, std::optional<uint64_t>& out) {
  const std::string* sent = http::find(query, name);
  if (!sent) return {};
  uint64_t number = 0;
  auto [end, failed] = std::from_chars(sent->data(), sent->data() + sent->size(), number);
  if (failed != std::errc() || end != sent->data() + sent->size() || number < least || number > most)
    return fmt::format("{} must be a number from {} to {}, not '{}'", name, least, most, to_utf8(std::string_view(*sent).substr(0, 100)));
  out = number;
  return {};
}

// Which letters `query` names, `most` at a time; what is wrong with it, or "".
std::string read_letters(const http::Query& query, int64_t wall_us, uint64_t most, dispatch::LetterQuery& wanted) {
  std::optional<uint64_t> older_s, newer_s, limit;
  for (auto [name, out] : {std::pair{"older_than_s", &older_s}, {"newer_than_s", &newer_s}})
    if (std::string wrong = read_number(query, name, 0, kMostNumber, *out); !wrong.empty()) return wrong;
  if (std::string wrong = read_number(query, "limit", 1, most, limit); !wrong.empty()) return wrong;
  auto ago_us = [wall_us](uint64_t seconds) { return std::max<int64_t>(0, wall_us - static_cast<int64_t>(seconds) * kMicrosPerSecond); };
  wanted.id = value_of(query, "id");
  wanted.service = value_of(query, "service");
  wanted.function = value_of(query, "function");
  wanted.after = value_of(query, "after");
  if (older_s) wanted.died_until_us = ago_us(*older_s);
  if (newer_s) wanted.died_from_us = ago_us(*newer_s);
  if (limit) wanted.limit = *limit;
  return {};
}

// Why `query` may not end letters, or "". A filter that was forgotten, or is empty because some script's variable is, must not mean all.
std::string unclear(const http::Query& query) {
  bool filtered = false;
  for (std::string_view name : {"id", "service", "function", "older_than_s", "newer_than_s"}) {
    const std::string* value = http::find(query, name);
    if (value && value->empty()) return fmt::format("{} is empty: leave it out if any will do", name);
    filtered = filtered || value != nullptr;
  }
  if (filtered || value_of(query, "all") == "true") return {};
  return "name the dead letters by id, service, function, older_than_s or newer_than_s, or say all=true";
}

}  // namespace

io::Task<http::Response> NativeApi::dead_letters(io::Loop& loop, http::Query query) {
  dispatch::LetterQuery wanted;
  if (std::string wrong = read_letters(query, context_.clock.wall_us(), kMaxDeadLettersPage, wanted); !wrong.empty()) co_return error(400, "InvalidArgument", wrong);
  json::array letters;
  for (const dispatch::DeadLetter& letter : co_await context_.async.letters().list(loop, std::move(wanted))) letters.push_back(letter_json(letter));
  co_return reply(200, json::object{{"deadLetters", std::move(letters)}});
}

// redrive and purge: of those that the query names; of all only if it says all=true.
io::Task<http::Response> NativeApi::end_dead_letters(io::Loop& loop, http::Query query, bool redrive) {
  dispatch::LetterQuery wanted{.limit = dispatch::kMaxDeadLetters};
  std::string wrong = unclear(query);
  if (wrong.empty()) wrong = read_letters(query, context_.clock.wall_us(), kMostNumber, wanted);
  if (!wrong.empty()) co_return error(400, "InvalidArgument", wrong);
  dispatch::DeadLetters& letters = context_.async.letters();
  size_t count = redrive ? co_await letters.redrive(loop, std::move(wanted)) : co_await letters.purge(loop, std::move(wanted));
  co_return reply(200, json::object{{redrive ? "redriven" : "purged", count}});
}

io::Task<http::Response> NativeApi::end_dead_letter(io::Loop& loop, http::Request request, std::string rest) {
  constexpr std::string_view kRedeliver = "/redeliver";
  bool post = request.method == "POST";
  if (post && (rest == "redrive" || rest == "purge")) co_return co_await end_dead_letters(loop, request.query(), rest == "redrive");
  bool redeliver = post && rest.ends_with(kRedeliver);
  if (!redeliver && request.method != "DELETE")
    co_return error(405, "MethodNotAllowed", "a dead letter is ended by POST .../redeliver or by DELETE, many by POST redrive or purge");
  if (redeliver) rest.resize(rest.size() - kRedeliver.size());
  dispatch::LetterQuery wanted{.id = percent_decode(rest)};
  if (wanted.id.empty()) co_return error(400, "InvalidArgument", "the id of the dead letter is empty");  // to a query that means any
  dispatch::DeadLetters& letters = context_.async.letters();
  size_t count = redeliver ? co_await letters.redrive(loop, std::move(wanted)) : co_await letters.purge(loop, std::move(wanted));
  if (count == 0) co_return error(404, "DeadLetterNotFound", "there is no such dead letter; it may have been redelivered or dropped already");
  co_return reply(200, json::object{});
}

// rest: <service>/<function>/<request id>/cancel
io::Task<http::Response> NativeApi::cancel_call(io::Loop& loop, http::Request request, std::string rest) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= rest.size();) {
    size_t slash = std::min(rest.find('/', at), rest.size());
    parts.push_back(percent_decode(std::string_view(rest).substr(at, slash - at)));
    at = slash + 1;
  }
  if (request.method != "POST" || parts.size() != 4 || parts[3] != "cancel")
    co_return error(404, "PathNotSupported", "an asynchronous call is ended by POST async/<service>/<function>/<request id>/cancel");
  auto cancelled = co_await context_.async.cancel(loop, {parts[0], parts[1], {}}, parts[2]);
  if (cancelled) co_return reply(200, json::object{});
  bool missing = cancelled.error().code == dispatch::AsyncError::not_found;
  bool ended = cancelled.error().code == dispatch::AsyncError::completed;
  co_return error(missing ? 404 : ended ? 412 : 503, missing ? "CallNotFound" : ended ? "CallAlreadyCompleted" : "ResourceExhausted", cancelled.error().message);
}

}  // namespace mayfly::server
