#include "flows/definitions.h"

#include <stdexcept>

#include "base/encoding.h"
#include "base/hash.h"
#include "flows/fdl.h"

namespace mayfly::flows {

Result<std::shared_ptr<const Compiled>> Definitions::compile(std::string text) {
  MAYFLY_TRY(auto definition, parse_fdl(text));
  std::string hash = hex_encode(sha256(text));
  return std::make_shared<const Compiled>(Compiled{std::move(hash), std::move(text), std::move(definition)});
}

void Definitions::keep(std::shared_ptr<const Compiled> compiled) {
  std::lock_guard lock(mutex_);
  if (compiled_.size() >= kMaxKept) compiled_.clear();
  compiled_[compiled->hash] = std::move(compiled);
}

io::Task<std::shared_ptr<const Compiled>> Definitions::definition(io::Loop& loop, std::string hash) {
  {
    std::lock_guard lock(mutex_);
    if (auto known = compiled_.find(hash); known != compiled_.end()) co_return known->second;
  }
  auto text = co_await store_.get(loop, definition_key(hash));
  if (!text) throw std::runtime_error("the definition " + hash + " is missing from the store");
  auto compiled = compile(std::move(*text));
  if (!compiled) throw std::runtime_error("a stored definition is refused: " + compiled.error().message);
  keep(*compiled);
  co_return std::move(*compiled);
}

io::Task<Result<std::shared_ptr<const KnownFlow>>> Definitions::flow(io::Loop& loop, std::string name) {
  uint64_t changes = 0;
  {
    std::lock_guard lock(mutex_);
    if (auto known = flows_.find(name); known != flows_.end()) co_return known->second;
    changes = changes_;
  }
  auto row = co_await store_.get(loop, flow_key(name));
  if (!row) co_return fail(FlowError::flow_not_found, fmt::format("flow '{}' does not exist", name));
  KnownFlow known{read_flow(*row), nullptr};
  known.compiled = co_await definition(loop, known.row.definition_hash);
  known.row.flow.definition = known.compiled->text;
  auto shared = std::make_shared<const KnownFlow>(std::move(known));
  std::lock_guard lock(mutex_);
  if (flows_.size() >= kMaxKept) flows_.clear();
  if (changes == changes_) flows_[name] = shared;
  co_return shared;
}

void Definitions::forget(const std::string& name) {
  std::lock_guard lock(mutex_);
  ++changes_;
  flows_.erase(name);
}

}  // namespace mayfly::flows
