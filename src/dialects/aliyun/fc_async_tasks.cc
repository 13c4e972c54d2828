// Asynchronous invocation and stateful asynchronous invocations, "tasks" (aliyun-fc.md sections 6 and 7.4): a call is queued, its state
// is listed and read, and it can be stopped. What the vendor leaves open is chosen here: a task belongs to its function, so an id is
// unique over its versions, and a qualifier only narrows what is found.

#include <charconv>

#include "base/encoding.h"
#include "dialects/aliyun/fc_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr size_t kMaxTasksPage = 100;
constexpr int64_t kRetryAfterS = 1;  // of `full`: how soon a task will end is not known

FcError task_error(const FcCall& call, const Failure<dispatch::AsyncError>& failure) {
  using dispatch::AsyncError;
  std::string message = failure.hint.empty() ? failure.message : failure.message + ": " + failure.hint;
  switch (failure.code) {
    case AsyncError::not_found:
      return fc_error(call, Failure<functions::CatalogueError>{functions::CatalogueError::not_found, failure.message, failure.hint}, "StatefulAsyncInvocation");
    case AsyncError::too_large: return {400, "EntityTooLarge", message};
    case AsyncError::invalid: return {400, "InvalidArgument", message};
    case AsyncError::exists: return {409, "StatefulAsyncInvocationAlreadyExists", message};
    case AsyncError::mismatch: return {422, "IdempotencyKeyMismatch", message};
    case AsyncError::completed: return {412, "StatefulAsyncInvocationAlreadyCompleted", message};
    case AsyncError::full: return {429, "ResourceThrottled", message, kRetryAfterS};
  }
  return {500, "InternalServerError", message};
}

int64_t ms(int64_t us) { return us / kMicrosPerMilli; }

json::object task_json(const dispatch::TaskRecord& task, bool with_payload) {
  json::array events;
  for (const dispatch::TaskEvent& event : task.events)
    events.push_back(json::object{{"eventId", event.id}, {"status", name_of(event.status)}, {"timestamp", ms(event.at_us)}, {"eventDetail", event.detail}});
  json::object out{{"functionName", task.target.function}, {"serviceName", task.target.service},
                   {"qualifier", task.target.qualifier.empty() ? std::string(functions::kLatest) : task.target.qualifier}, {"invocationId", task.id},
                   {"status", name_of(task.status)}, {"startedTime", ms(task.started_us)}, {"endTime", ms(task.ended_us)},
                   {"destinationStatus", task.destination_status}, {"invocationErrorMessage", task.error}, {"requestId", task.request_id},
                   {"alreadyRetriedTimes", task.retries}, {"instanceId", task.instance_id}, {"durationMs", ms(task.duration_us)}, {"events", std::move(events)}};
  if (with_payload) {
    out["invocationPayload"] = to_utf8(task.payload);
    out["returnPayload"] = to_utf8(task.result);
  }
  return out;
}

// A number of milliseconds; `fallback` when it was not sent.
FcExpected<int64_t> time_parameter(const FcCall& call, std::string_view name, int64_t fallback) {
  std::string text = call.parameter(name);
  if (text.empty()) return fallback;
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0 || number > INT64_MAX / kMicrosPerMilli - 1)
    return invalid_argument(fmt::format("{} must be a time in milliseconds since 1970, not '{}'", name, text.substr(0, 100)));
  return number;
}

FcExpected<bool> flag_parameter(const FcCall& call, std::string_view name, bool fallback) {
  std::string text = lower(call.parameter(name));
  if (text.empty()) return fallback;
  if (text != "true" && text != "false") return invalid_argument(fmt::format("{} must be true or false", name));
  return text == "true";
}

// sortOrderByTimeAsc=true, or the later sortOrderByTime=asc.
FcExpected<bool> ascending(const FcCall& call) {
  std::string order = lower(call.parameter("sortOrderByTime"));
  if (!order.empty() && order != "asc" && order != "desc") return invalid_argument("sortOrderByTime must be asc or desc");
  return flag_parameter(call, "sortOrderByTimeAsc", order == "asc");
}

FcExpected<dispatch::TaskQuery> task_query(const FcCall& call) {
  dispatch::TaskQuery query{.service = call.service, .function = call.function, .qualifier = call.qualifier, .status = {}, .id_prefix = call.parameter("invocationIdPrefix"),
                            .limit = kMaxTasksPage, .after = call.parameter("nextToken")};
  if (query.id_prefix.empty()) query.id_prefix = call.parameter("prefix");
  if (std::string status = call.parameter("status"); !status.empty()) {
    query.status = dispatch::task_status(status);
    if (!query.status) return invalid_argument(fmt::format("'{}' is no status of a task", status.substr(0, 100)));
  }
  auto from = time_parameter(call, "startedTimeBegin", 0), until = time_parameter(call, "startedTimeEnd", INT64_MAX);
  auto order = ascending(call);
  auto payload = flag_parameter(call, "includePayload", false);
  auto page = list_query(call);
  for (const FcError* error : {from ? nullptr : &from.error(), until ? nullptr : &until.error(), order ? nullptr : &order.error(),
                               payload ? nullptr : &payload.error(), page ? nullptr : &page.error()})
    if (error) return std::unexpected(*error);
  query.from_us = *from * kMicrosPerMilli;
  if (*until != INT64_MAX) query.until_us = (*until + 1) * kMicrosPerMilli;  // both ends belong to it
  query.ascending = *order;
  query.with_payload = *payload;
  query.limit = page->limit;
  return query;
}

}  // namespace

io::Task<FcAnswer> fc_invoke_async(FcCall& call, dispatch::Invocation invocation) {
  const http::Headers& headers = call.request.headers;
  dispatch::AsyncRequest request{.invocation = std::move(invocation), .stateful = equals_ignore_case(headers.get("x-fc-stateful-async-invocation-enable"), "true"),
                                 .task_id = headers.get("x-fc-stateful-async-invocation-id"), .once_key = headers.get("idempotency-key")};
  auto accepted = co_await call.context.async.submit(call.loop, std::move(request));
  if (!accepted) co_return std::unexpected(task_error(call, accepted.error()));
  http::Response response{.status = 202, .body = {}};
  call.request_id = accepted->request_id;  // that of the call which runs, also for who sends it a second time
  if (accepted->repeated) response.headers.set("Idempotency-Replayed", "true");
  if (!accepted->task_id.empty()) response.headers.set("X-Fc-Stateful-Async-Invocation-Id", accepted->task_id);
  co_return response;
}

io::Task<FcAnswer> fc_list_tasks(FcCall& call) {
  FC_CO_TRY([[maybe_unused]] const functions::Function function, call, "Function", call.context.catalogue.function(call.service, call.qualifier, call.function));
  auto query = task_query(call);
  if (!query) co_return std::unexpected(query.error());
  bool with_payload = query->with_payload;
  dispatch::TaskPage page = co_await call.context.async.tasks().list(call.loop, std::move(*query));
  json::array tasks;
  for (const dispatch::TaskRecord& task : page.tasks) tasks.push_back(task_json(task, with_payload));
  co_return json_response({{"invocations", std::move(tasks)}, {"nextToken", page.next}});
}

io::Task<FcAnswer> fc_get_task(FcCall& call) {
  auto with_payload = flag_parameter(call, "includePayload", true);
  if (!with_payload) co_return std::unexpected(with_payload.error());
  dispatch::Target target{call.service, call.function, call.qualifier};
  auto task = co_await call.context.async.tasks().find(call.loop, target, call.item, *with_payload);
  if (task && !call.qualifier.empty() && call.qualifier != (task->target.qualifier.empty() ? functions::kLatest : std::string_view(task->target.qualifier))) task.reset();
  if (!task) {
    Failure<dispatch::AsyncError> missing{dispatch::AsyncError::not_found, fmt::format("the task '{}' of function '{}' does not exist", call.item, call.function), {}};
    co_return std::unexpected(task_error(call, missing));
  }
  co_return json_response(task_json(*task, *with_payload));
}

io::Task<FcAnswer> fc_stop_task(FcCall& call) {
  dispatch::Target target{call.service, call.function, call.qualifier};
  auto stopped = co_await call.context.async.stop_task(call.loop, target, call.item);
  if (!stopped) co_return std::unexpected(task_error(call, stopped.error()));
  co_return json_response({});
}

}  // namespace mayfly::dialects::aliyun
