#pragma once
// Settings: small JSON documents about services and functions that are not part of their code: asynchronous-invocation configuration,
// custom domains, tags, instance limits. A document has a kind, a name within the kind, and whatever body its owner gives it. Durable
// in the store; an immutable snapshot answers reads on any shard.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "functions/catalogue.h"
#include "functions/turn.h"
#include "store/store.h"

namespace mayfly::functions {

constexpr size_t kMaxDocuments = 10'000;        // of all kinds: the snapshot is in memory
constexpr size_t kMaxDocumentBytes = 64 * 1024;  // a domain with its certificate chain fits

struct Document {
  std::string name;
  json::object body;
  int64_t created_us = 0, modified_us = 0;
};
std::string etag(const Document& document);

class Settings {
 public:
  Settings(store::Store& store, const Clock& clock);

  io::Task<void> load(io::Loop& loop);  // once, before use

  enum class Mode { create, update, either };  // already_exists, not_found
  io::Task<Result<Document>> put(io::Loop& loop, std::string kind, std::string name, json::object body, Mode mode, IfMatch match = {});
  io::Task<Result<void>> erase(io::Loop& loop, std::string kind, std::string name, IfMatch match = {});

  Result<Document> get(const std::string& kind, const std::string& name) const;
  std::shared_ptr<const Document> lookup(const std::string& kind, const std::string& name) const;  // not copied; null if it does not exist
  Page<Document> list(const std::string& kind, const ListQuery& query) const;

  // Called after each published change, on the thread that made it.
  void on_change(std::function<void()> listener);

 private:
  struct Row {
    Document document;
    std::string text;  // as stored, for the expectation of the next write
  };
  using Table = std::map<std::pair<std::string, std::string>, Row>;  // by kind and name

  void publish(std::shared_ptr<const Table> next);

  store::Store& store_;
  const Clock& clock_;
  Turns turns_;
  std::atomic<std::shared_ptr<const Table>> table_;  // shared: readers on any shard keep the one they loaded
  std::mutex listeners_mutex_;
  std::vector<std::function<void()>> listeners_;
};

}  // namespace mayfly::functions
