#include "functions/settings.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/hash.h"
#include "store/keys.h"

namespace mayfly::functions {
namespace {

constexpr std::string_view kRoom = "settings";

std::string row_key(const std::string& kind, const std::string& name) { return store::make_key({kRoom, kind, name}); }

std::string row_text(const Document& document) {
  return to_text(json::object{{"body", document.body}, {"created_us", document.created_us}, {"modified_us", document.modified_us}});
}

}  // namespace

std::string etag(const Document& document) { return hex_encode(md5(document.name + row_text(document))); }

Settings::Settings(store::Store& store, const Clock& clock) : store_(store), clock_(clock), table_(std::make_shared<const Table>()) {}

io::Task<void> Settings::load(io::Loop& loop) {
  auto next = std::make_shared<Table>();
  std::string prefix = store::make_key({kRoom});
  for (const store::Entry& entry : co_await store::scan_all(store_, loop, prefix, store::after_prefix(prefix))) {
    auto key = store::split_key(entry.key);
    auto value = parse_json(entry.value);
    MAYFLY_CHECK(key && key->size() == 3 && value);
    const json::value* body = find(*value, "body");
    Document document{(*key)[2], body && body->is_object() ? body->get_object() : json::object(), int_or(*value, "created_us"), int_or(*value, "modified_us")};
    (*next)[{(*key)[1], (*key)[2]}] = {std::move(document), entry.value};
  }
  table_.store(std::move(next));
}

void Settings::publish(std::shared_ptr<const Table> next) {
  table_.store(std::move(next));
  std::vector<std::function<void()>> listeners;
  {
    std::lock_guard lock(listeners_mutex_);
    listeners = listeners_;
  }
  for (const auto& listener : listeners) listener();
}

void Settings::on_change(std::function<void()> listener) {
  std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(std::move(listener));
}

io::Task<Result<Document>> Settings::put(io::Loop& loop, std::string kind, std::string name, json::object body, Mode mode, IfMatch match) {
  auto turn = co_await turns_.take(loop);
  auto table = table_.load();
  auto found = table->find({kind, name});
  bool exists = found != table->end();
  if (exists && mode == Mode::create) co_return fail(CatalogueError::already_exists, fmt::format("{} '{}' already exists", kind, name));
  if (!exists && mode == Mode::update) co_return fail(CatalogueError::not_found, fmt::format("{} '{}' does not exist", kind, name));
  if (!exists && table->size() >= kMaxDocuments) co_return fail(CatalogueError::too_large, fmt::format("there are {} settings already", kMaxDocuments));
  if (!match.empty() && (!exists || match != etag(found->second.document)))
    co_return fail(CatalogueError::precondition, fmt::format("{} '{}' was changed since it was read", kind, name), "read it again and repeat the change");
  int64_t now = clock_.wall_us();
  Document document{name, std::move(body), exists ? found->second.document.created_us : now, now};
  std::string text = row_text(document);
  if (text.size() > kMaxDocumentBytes) co_return fail(CatalogueError::too_large, fmt::format("{} '{}' is larger than {} bytes", kind, name, kMaxDocumentBytes));
  store::Batch batch;
  std::string key = row_key(kind, name);
  if (exists) {
    batch.expect_equals(key, found->second.text);
  } else {
    batch.expect_absent(key);
  }
  batch.put(key, text);
  if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused)
    co_return fail(CatalogueError::conflict, fmt::format("{} '{}' was changed by another process", kind, name));
  auto next = std::make_shared<Table>(*table);
  (*next)[{kind, name}] = {document, std::move(text)};
  publish(std::move(next));
  co_return document;
}

io::Task<Result<void>> Settings::erase(io::Loop& loop, std::string kind, std::string name, IfMatch match) {
  auto turn = co_await turns_.take(loop);
  auto table = table_.load();
  auto found = table->find({kind, name});
  if (found == table->end()) co_return fail(CatalogueError::not_found, fmt::format("{} '{}' does not exist", kind, name));
  if (!match.empty() && match != etag(found->second.document))
    co_return fail(CatalogueError::precondition, fmt::format("{} '{}' was changed since it was read", kind, name), "read it again and repeat the change");
  store::Batch batch;
  batch.expect_equals(row_key(kind, name), found->second.text);
  batch.erase(row_key(kind, name));
  if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused)
    co_return fail(CatalogueError::conflict, fmt::format("{} '{}' was changed by another process", kind, name));
  auto next = std::make_shared<Table>(*table);
  next->erase({kind, name});
  publish(std::move(next));
  co_return Result<void>{};
}

std::shared_ptr<const Document> Settings::lookup(const std::string& kind, const std::string& name) const {
  auto table = table_.load();
  auto found = table->find({kind, name});
  return found == table->end() ? nullptr : std::shared_ptr<const Document>(table, &found->second.document);
}

Result<Document> Settings::get(const std::string& kind, const std::string& name) const {
  if (auto found = lookup(kind, name)) return *found;
  return fail(CatalogueError::not_found, fmt::format("{} '{}' does not exist", kind, name));
}

Page<Document> Settings::list(const std::string& kind, const ListQuery& query) const {
  auto table = table_.load();
  Page<Document> page;
  for (auto at = table->lower_bound({kind, std::max(query.start, query.prefix)}); at != table->end(); ++at) {
    if (at->first.first != kind || !at->first.second.starts_with(query.prefix)) break;
    if (page.items.size() == query.limit) {
      page.next = at->first.second;
      break;
    }
    page.items.push_back(at->second.document);
  }
  return page;
}

}  // namespace mayfly::functions
