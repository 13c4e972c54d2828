#include "flows/engine.h"

#include "base/encoding.h"
#include "base/hash.h"
#include "io/hop.h"

namespace mayfly::flows {
namespace {

constexpr size_t kMaxNameBytes = 128;         // aliyun-fnf.md section 1
constexpr size_t kSecretDigits = 32;          // 128 bits behind every task token of an execution
constexpr size_t kMaxErrorBytes = 64 * 1024;  // error and cause given from outside

bool is_flow_name(std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (name.empty() || name.size() > kMaxNameBytes || !letter(name.front())) return false;
  return std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.'; });
}

// Anything printable that cannot be mistaken for a separator of tokens and resource names.
bool is_execution_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::ranges::all_of(name, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != '#' && c != '/' && c != 0x7f; });
}

Result<void> check_object(std::string_view what, const std::string& text, size_t limit) {
  if (text.size() > limit) return fail(FlowError::too_large, fmt::format("{} is {} bytes, the limit is {}", what, text.size(), limit));
  auto value = parse_json(text);
  if (!value) return fail(FlowError::invalid_argument, fmt::format("{}: {}", what, value.error().message));
  if (!value->is_object()) return fail(FlowError::invalid_argument, fmt::format("{} must be a JSON object", what));
  return {};
}

}  // namespace

Engine::Engine(Parts parts)
    : store_(parts.store), rng_(parts.rng), limits_(parts.options.limits), definitions_(parts.store),
      functions_(make_function_target(parts.invoker, parts.rng)), flows_(make_flow_target(*this, parts.rng)) {
  MAYFLY_CHECK(!parts.loops.empty());
  parts.targets.push_back(flows_.get());
  parts.targets.push_back(functions_.get());
  Partition::Report report = [this](io::Loop& loop, std::string token, Command::Result result, std::string output, std::string error, std::string cause) {
    return report_end(loop, std::move(token), result, std::move(output), std::move(error), std::move(cause));
  };
  for (unsigned i = 0; i < kPartitions; ++i) {
    io::Loop& loop = *parts.loops[i % parts.loops.size()];
    partitions_.push_back(std::make_unique<Partition>(i, loop, store_, definitions_, parts.targets, report, parts.options));
  }
}

Engine::~Engine() = default;

void Engine::start() {
  for (auto& partition : partitions_) partition->loop().post([raw = partition.get()] { raw->start(); });
}

io::Task<void> Engine::stop(io::Loop& loop) {
  for (auto& partition : partitions_) {
    co_await io::call_on<void>(loop, partition->loop(), [raw = partition.get()] { return raw->stop(); });
  }
}

Partition& Engine::partition_of(const std::string& flow, const std::string& execution) {
  return *partitions_[crc32c(execution, crc32c(flow)) % kPartitions];
}

io::Task<Result<Flow>> Engine::write_flow(io::Loop& loop, FlowRow row, std::shared_ptr<const Compiled> compiled, store::Expectation expectation,
                                          FlowError refused) {
  row.definition_hash = compiled->hash;
  store::Batch batch;
  batch.expectations.push_back(std::move(expectation));
  batch.put(definition_key(compiled->hash), compiled->text);
  batch.put(flow_key(row.flow.name), flows::write_flow(row));
  if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused) {
    co_return fail(refused, fmt::format("flow '{}' {}", row.flow.name, refused == FlowError::flow_exists ? "already exists" : "was changed or deleted meanwhile"));
  }
  definitions_.forget(row.flow.name);
  row.flow.definition = compiled->text;
  co_return std::move(row.flow);
}

io::Task<Result<Flow>> Engine::create_flow(io::Loop& loop, Flow flow) {
  if (!is_flow_name(flow.name)) co_return fail(FlowError::invalid_argument, "a flow's name is 1 to 128 characters [A-Za-z_][A-Za-z0-9_.-]*");
  MAYFLY_CO_TRY(auto compiled, Definitions::compile(std::move(flow.definition)));
  flow.id = uuid(rng_);
  flow.created_us = flow.modified_us = loop.clock().wall_us();
  flow.definition.clear();
  store::Expectation absent{.key = flow_key(flow.name), .kind = store::Expectation::Kind::absent};
  co_return co_await write_flow(loop, {std::move(flow), {}}, std::move(compiled), std::move(absent), FlowError::flow_exists);
}

io::Task<Result<Flow>> Engine::update_flow(io::Loop& loop, Flow flow) {
  auto stored = co_await store_.get(loop, flow_key(flow.name));
  if (!stored) co_return fail(FlowError::flow_not_found, fmt::format("flow '{}' does not exist", flow.name));
  FlowRow row = read_flow(*stored);
  std::shared_ptr<const Compiled> compiled;
  if (flow.definition.empty()) {
    compiled = co_await definitions_.definition(loop, row.definition_hash);
  } else {
    MAYFLY_CO_TRY(compiled, Definitions::compile(std::move(flow.definition)));
  }
  for (auto member : {&Flow::description, &Flow::type, &Flow::role_arn, &Flow::external_storage, &Flow::execution_mode})
    if (!(flow.*member).empty()) row.flow.*member = std::move(flow.*member);
  row.flow.modified_us = loop.clock().wall_us();
  store::Expectation unchanged{.key = flow_key(flow.name), .kind = store::Expectation::Kind::equals, .value = std::move(*stored)};
  co_return co_await write_flow(loop, std::move(row), std::move(compiled), std::move(unchanged), FlowError::flow_not_found);
}

// Executions under way run to their end, and stay readable.
io::Task<Result<void>> Engine::delete_flow(io::Loop& loop, std::string name) {
  store::Batch batch;
  batch.expect_exists(flow_key(name));
  batch.erase(flow_key(name));
  if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused) {
    co_return fail(FlowError::flow_not_found, fmt::format("flow '{}' does not exist", name));
  }
  definitions_.forget(name);
  co_return Result<void>{};
}

io::Task<Result<Flow>> Engine::describe_flow(io::Loop& loop, std::string name) {
  MAYFLY_CO_TRY(auto known, co_await definitions_.flow(loop, std::move(name)));
  co_return known->row.flow;
}

io::Task<Page<Flow>> Engine::list_flows(io::Loop& loop, std::string next, size_t limit) {
  Page<Flow> page;
  limit = std::max<size_t>(limit, 1);
  auto rows = co_await store_.scan(loop, {.first = flow_key(next), .last = flow_key_end(), .limit = limit + 1});
  for (const auto& row : rows) {
    FlowRow read = read_flow(row.value);
    if (page.items.size() == limit) {
      page.next = read.flow.name;
      break;
    }
    read.flow.definition = (co_await definitions_.definition(loop, read.definition_hash))->text;
    page.items.push_back(std::move(read.flow));
  }
  co_return page;
}

io::Task<Result<Execution>> Engine::start(io::Loop& loop, StartRequest request) {
  MAYFLY_CO_TRY(auto known, co_await definitions_.flow(loop, request.flow));
  if (request.input.empty()) request.input = "{}";
  MAYFLY_CO_TRY_VOID(check_object("Input", request.input, limits_.data_bytes));
  if (request.name.empty()) request.name = uuid(rng_);
  if (!is_execution_name(request.name)) co_return fail(FlowError::invalid_argument, "an execution's name is 1 to 128 printable characters without space, '#' and '/'");
  Execution shown{.flow = request.flow, .name = request.name, .definition = known->compiled->text, .role_arn = known->row.flow.role_arn,
                  .input = request.input, .output = {}, .status = Status::running, .error = {}, .cause = {}, .origin = request.origin,
                  .started_us = loop.clock().wall_us()};
  Partition& partition = partition_of(request.flow, request.name);
  Partition::Begin begin{.flow = known, .request = std::move(request), .secret = rng_.hex(kSecretDigits)};
  Verdict verdict = co_await io::call_on<Verdict>(loop, partition.loop(), [&] { return partition.begin(std::move(begin)); });
  if (verdict == Verdict::accepted) co_return shown;
  if (verdict == Verdict::no_flow) {
    definitions_.forget(shown.flow);
    co_return fail(FlowError::flow_not_found, fmt::format("flow '{}' does not exist", shown.flow));
  }
  if (!shown.origin.empty()) {
    auto existing = co_await read(loop, shown.flow, shown.name);
    if (existing && existing->origin == shown.origin) co_return existing;
  }
  co_return fail(FlowError::execution_exists, fmt::format("execution '{}' of flow '{}' already exists", shown.name, shown.flow));
}

io::Task<Verdict> Engine::submit(io::Loop& loop, std::string flow, std::string execution, Command command) {
  Partition& partition = partition_of(flow, execution);
  co_return co_await io::call_on<Verdict>(loop, partition.loop(), [&] { return partition.submit(std::move(flow), std::move(execution), std::move(command)); });
}

io::Task<Result<Execution>> Engine::stop(io::Loop& loop, std::string flow, std::string name, std::string error, std::string cause) {
  if (error.size() + cause.size() > kMaxErrorBytes) co_return fail(FlowError::too_large, fmt::format("Error and Cause are at most {} bytes", kMaxErrorBytes));
  co_await submit(loop, flow, name, {.kind = Command::Kind::stop, .output = {}, .error = std::move(error), .cause = std::move(cause), .token = {}});
  co_return co_await read(loop, std::move(flow), std::move(name));
}

io::Task<Result<Execution>> Engine::read(io::Loop& loop, std::string flow, std::string name) {
  auto row = co_await store_.get(loop, execution_key(flow, name));
  if (!row) co_return fail(FlowError::execution_not_found, fmt::format("execution '{}' of flow '{}' does not exist", name, flow));
  ExecutionRow read = read_execution(*row);
  read.execution.definition = (co_await definitions_.definition(loop, read.definition_hash))->text;
  co_return std::move(read.execution);
}

io::Task<Result<Execution>> Engine::describe(io::Loop& loop, std::string flow, std::string name, io::Deadline wait) {
  auto execution = co_await read(loop, flow, name);
  if (!execution || execution->status != Status::running || wait.passed(loop)) co_return execution;
  Partition& partition = partition_of(flow, name);
  co_await io::call_on<void>(loop, partition.loop(), [&] { return partition.wait_for_end(flow, name, wait); });
  co_return co_await read(loop, std::move(flow), std::move(name));
}

io::Task<void> Engine::report_end(io::Loop& loop, std::string token, Command::Result result, std::string output, std::string error, std::string cause) {
  Command command{.kind = Command::Kind::report, .output = std::move(output), .result = result, .error = std::move(error), .cause = std::move(cause), .token = {}};
  co_await report(loop, std::move(token), std::move(command));  // a token that was used by an earlier report is no news to a child that ended
}

io::Task<Result<void>> Engine::report(io::Loop& loop, std::string token, Command command) {
  auto address = read_token(token);
  if (!address) co_return fail(FlowError::task_not_found, "no task waits for this token");
  command.token = std::move(token);
  command.step = address->step;
  Verdict verdict = co_await submit(loop, std::move(address->flow), std::move(address->execution), std::move(command));
  if (verdict != Verdict::accepted) co_return fail(FlowError::task_not_found, "no task waits for this token (any more)");
  co_return Result<void>{};
}

io::Task<Result<void>> Engine::report_succeeded(io::Loop& loop, std::string token, std::string output) {
  if (output.size() > limits_.data_bytes) {
    co_return fail(FlowError::too_large, fmt::format("Output is {} bytes, the limit is {}", output.size(), limits_.data_bytes));
  }
  if (auto value = parse_json(output); !value) co_return fail(FlowError::invalid_argument, "Output: " + value.error().message);
  co_return co_await report(loop, std::move(token), {.kind = Command::Kind::report, .output = std::move(output), .error = {}, .cause = {}, .token = {}});
}

io::Task<Result<void>> Engine::report_failed(io::Loop& loop, std::string token, std::string error, std::string cause) {
  if (error.size() + cause.size() > kMaxErrorBytes) co_return fail(FlowError::too_large, fmt::format("Error and Cause are at most {} bytes", kMaxErrorBytes));
  Command command{.kind = Command::Kind::report, .output = {}, .result = Command::Result::failed, .error = std::move(error), .cause = std::move(cause), .token = {}};
  co_return co_await report(loop, std::move(token), std::move(command));
}

}  // namespace mayfly::flows
