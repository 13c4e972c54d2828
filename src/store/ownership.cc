#include "store/ownership.h"

#include "base/check.h"
#include "store/keys.h"

namespace mayfly::store {
namespace {

std::string key_of(const std::string& owned) { return make_key({"owner", owned}); }
std::string value_of(const Claim& claim) { return make_key({ordered_int(static_cast<int64_t>(claim.epoch)), claim.node}); }

Claim read(const std::string& owned, const std::string& value) {
  auto parts = split_key(value);
  MAYFLY_CHECK(parts && parts->size() == 2);
  return {.owned = owned, .node = parts->at(1), .epoch = static_cast<uint64_t>(read_ordered_int(parts->at(0)))};
}

}  // namespace

io::Task<std::optional<Claim>> owner_of(Store& store, io::Loop& loop, std::string owned) {
  auto value = co_await store.get(loop, key_of(owned));
  if (!value) co_return std::nullopt;
  co_return read(owned, *value);
}

io::Task<Claim> claim(Store& store, io::Loop& loop, std::string owned, std::string node) {
  while (true) {  // refused only because another claim succeeded: somebody always gets on
    auto present = co_await owner_of(store, loop, owned);
    Claim claim{.owned = owned, .node = node, .epoch = present ? present->epoch + 1 : 1};
    Batch batch;
    if (present) fence(batch, *present);
    else batch.expect_absent(key_of(owned));
    batch.put(key_of(owned), value_of(claim));
    if (co_await store.commit(loop, std::move(batch)) == Commit::done) co_return claim;
  }
}

void fence(Batch& batch, const Claim& claim) { batch.expect_equals(key_of(claim.owned), value_of(claim)); }

}  // namespace mayfly::store
