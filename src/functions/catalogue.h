#pragma once
// Catalogue: services, functions, versions, aliases and triggers, durable in the store, and an immutable snapshot of them in memory
// that every shard reads without a lock. A mutation validates, commits with an expectation on what it read (two writers cannot both
// win), then publishes a new snapshot. Reads are synchronous.
//
// Lists: names in byte order, `prefix` filters, `start` is inclusive, at most `limit`; `next` is the first name not returned or "".

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "functions/code.h"
#include "functions/model.h"
#include "io/task.h"
#include "store/store.h"

namespace mayfly::functions {

struct ListQuery {
  std::string prefix, start;
  size_t limit = 100;
};
// Versions are listed newest first unless asked otherwise, and ordered as numbers.
enum class Order { newest_first, oldest_first };
template <class T>
struct Page {
  std::vector<T> items;
  std::string next;
};

// If-Match of the dialects: the etag the caller read, or empty for "whatever it is".
using IfMatch = std::string;

class Catalogue {
 public:
  virtual ~Catalogue() = default;

  // Loads everything, and makes merged layers that are missing; call once before use.
  virtual io::Task<void> load(io::Loop& loop) = 0;
  // What functions and versions name in the code store, for CodeStore::keep_only.
  virtual std::set<std::string> package_names() const = 0;

  virtual io::Task<Result<Service>> create_service(io::Loop& loop, Service service) = 0;
  virtual io::Task<Result<Service>> update_service(io::Loop& loop, Service service, IfMatch match) = 0;
  virtual io::Task<Result<void>> delete_service(io::Loop& loop, std::string service, IfMatch match) = 0;  // conflict while it holds anything
  virtual io::Task<Result<Function>> create_function(io::Loop& loop, Function function) = 0;
  virtual io::Task<Result<Function>> update_function(io::Loop& loop, Function function, IfMatch match) = 0;
  virtual io::Task<Result<void>> delete_function(io::Loop& loop, std::string service, std::string function, IfMatch match) = 0;
  virtual io::Task<Result<Trigger>> create_trigger(io::Loop& loop, Trigger trigger) = 0;
  virtual io::Task<Result<Trigger>> update_trigger(io::Loop& loop, Trigger trigger, IfMatch match) = 0;
  virtual io::Task<Result<void>> delete_trigger(io::Loop& loop, std::string service, std::string function, std::string trigger, IfMatch match) = 0;
  virtual io::Task<Result<Version>> publish(io::Loop& loop, std::string service, std::string description) = 0;  // conflict if nothing changed
  virtual io::Task<Result<void>> delete_version(io::Loop& loop, std::string service, std::string version) = 0;
  virtual io::Task<Result<Alias>> create_alias(io::Loop& loop, std::string service, Alias alias) = 0;
  virtual io::Task<Result<Alias>> update_alias(io::Loop& loop, std::string service, Alias alias, IfMatch match) = 0;
  virtual io::Task<Result<void>> delete_alias(io::Loop& loop, std::string service, std::string alias, IfMatch match) = 0;

  // Reads of the snapshot; any shard. `qualifier` empty means LATEST; a version id or an alias name selects the frozen copy.
  virtual Result<Service> service(const std::string& service, const std::string& qualifier) const = 0;
  virtual Result<Function> function(const std::string& service, const std::string& qualifier, const std::string& function) const = 0;
  virtual Result<Trigger> trigger(const std::string& service, const std::string& function, const std::string& trigger) const = 0;
  virtual Result<Alias> alias(const std::string& service, const std::string& alias) const = 0;
  virtual Page<Service> services(const ListQuery& query) const = 0;
  virtual Result<Page<Function>> functions(const std::string& service, const std::string& qualifier, const ListQuery& query) const = 0;
  // The function's trigger of a type for a qualifier (empty: LATEST), not copied; null if it has none.
  virtual Result<std::shared_ptr<const Trigger>> trigger_for(const std::string& service, const std::string& function, std::string_view type, std::string_view qualifier) const = 0;
  virtual Result<Page<Trigger>> triggers(const std::string& service, const std::string& function, const ListQuery& query) const = 0;
  virtual Result<Page<Version>> versions(const std::string& service, const ListQuery& query, Order order) const = 0;
  virtual Result<Page<Alias>> aliases(const std::string& service, const ListQuery& query) const = 0;
  virtual std::vector<Trigger> all_triggers(const std::string& type) const = 0;

  // What runs when `service.qualifier/function` is called; `dice` in [0,1) picks among an alias's weights.
  virtual Result<std::shared_ptr<const Runnable>> resolve(const std::string& service, const std::string& qualifier, const std::string& function, double dice) const = 0;

  // The same function, qualifier and version as it stands now; nullptr if it is gone. What runs a Runnable asks this after a change.
  virtual std::shared_ptr<const Runnable> current(const Runnable& runnable) const = 0;

  // Called after each published change, on the thread that made it: timers and object rules are re-read by their owners.
  virtual void on_change(std::function<void()> listener) = 0;
};

std::string etag(const Service& service);
std::string etag(const Function& function);
std::string etag(const Trigger& trigger);
std::string etag(const Alias& alias);

std::unique_ptr<Catalogue> make_catalogue(store::Store& store, CodeStore& code, const Clock& clock, Rng& rng);

}  // namespace mayfly::functions
