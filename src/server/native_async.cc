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

dispatch::LetterQuery letter_query(const http::Query& query, int64_t wall_us) {
  dispatch::LetterQuery wanted{.id = value_of(query, "id"), .service = value_of(query, "service"), .function = value_of(query, "function"), .after = value_of(query, "after")};
  auto ago_us = [&](std::string_view name) {  // a number of seconds
    auto seconds = std::min<uint64_t>(number_of(query, name, 0), static_cast<uint64_t>(wall_us / kMicrosPerSecond));
    return wall_us - static_cast<int64_t>(seconds) * kMicrosPerSecond;
  };
  if (http::find(query, "older_than_s")) wanted.died_until_us = ago_us("older_than_s");
  if (http::find(query, "newer_than_s")) wanted.died_from_us = ago_us("newer_than_s");
  return wanted;
}

}  // namespace

io::Task<http::Response> NativeApi::dead_letters(io::Loop& loop, http::Query query) {
  dispatch::LetterQuery wanted = letter_query(query, context_.clock.wall_us());
  wanted.limit = std::min<size_t>(number_of(query, "limit", 100), kMaxDeadLettersPage);
  json::array letters;
  for (const dispatch::DeadLetter& letter : co_await context_.async.letters().list(loop, std::move(wanted))) letters.push_back(letter_json(letter));
  co_return reply(200, json::object{{"deadLetters", std::move(letters)}});
}

// redrive and purge: of those that the query names; of all only if it says all=true, so that a forgotten filter ends nothing.
io::Task<http::Response> NativeApi::end_dead_letters(io::Loop& loop, http::Query query, bool redrive) {
  bool filtered = http::find(query, "id") || http::find(query, "service") || http::find(query, "older_than_s") || http::find(query, "newer_than_s");
  if (!filtered && value_of(query, "all") != "true") co_return error(400, "InvalidArgument", "name the dead letters by id, service, function or older_than_s, or say all=true");
  dispatch::LetterQuery wanted = letter_query(query, context_.clock.wall_us());
  wanted.limit = number_of(query, "limit", dispatch::kMaxDeadLetters);
  dispatch::DeadLetters& letters = context_.async.letters();
  size_t count = redrive ? co_await letters.redrive(loop, std::move(wanted)) : co_await letters.purge(loop, std::move(wanted));
  co_return reply(200, json::object{{redrive ? "redriven" : "purged", count}});
}

io::Task<http::Response> NativeApi::end_dead_letter(io::Loop& loop, http::Request request, std::string rest) {
  constexpr std::string_view kRedeliver = "/redeliver";
  bool post = request.method == "POST";
  if (post && (rest == "redrive" || rest == "purge")) co_return co_await end_dead_letters(loop, request.query(), rest == "redrive");
  size_t count = 0;
  if (post && rest.ends_with(kRedeliver)) {
    std::string id = percent_decode(std::string_view(rest).substr(0, rest.size() - kRedeliver.size()));
    count = co_await context_.async.letters().redrive(loop, {.id = id});
  } else if (request.method == "DELETE") {
    count = co_await context_.async.letters().purge(loop, {.id = percent_decode(rest)});
  } else {
    co_return error(405, "MethodNotAllowed", "a dead letter is ended by POST .../redeliver or by DELETE, many by POST redrive or purge");
  }
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
