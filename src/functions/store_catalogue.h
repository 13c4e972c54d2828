#pragma once
// StoreCatalogue: the catalogue on a store. Every mutation is: take a turn, check the rules against the current Tables, write the rows
// and the next generation in one batch that expects the generation it read, publish the next Tables, tell the listeners. The
// generation row fences out another process on the same store: its writer loses with `conflict` and must load again.

#include <atomic>
#include <mutex>

#include "functions/tables.h"
#include "functions/turn.h"

namespace mayfly::functions {

class StoreCatalogue final : public Catalogue {
 public:
  StoreCatalogue(store::Store& store, CodeStore& code, const Clock& clock, Rng& rng);

  io::Task<void> load(io::Loop& loop) override;
  std::set<std::string> package_names() const override;

  io::Task<Result<Service>> create_service(io::Loop& loop, Service service) override;
  io::Task<Result<Service>> update_service(io::Loop& loop, Service service, IfMatch match) override;
  io::Task<Result<void>> delete_service(io::Loop& loop, std::string service, IfMatch match) override;
  io::Task<Result<Function>> create_function(io::Loop& loop, Function function) override;
  io::Task<Result<Function>> update_function(io::Loop& loop, Function function, IfMatch match) override;
  io::Task<Result<void>> delete_function(io::Loop& loop, std::string service, std::string function, IfMatch match) override;
  io::Task<Result<Trigger>> create_trigger(io::Loop& loop, Trigger trigger) override;
  io::Task<Result<Trigger>> update_trigger(io::Loop& loop, Trigger trigger, IfMatch match) override;
  io::Task<Result<void>> delete_trigger(io::Loop& loop, std::string service, std::string function, std::string trigger, IfMatch match) override;
  io::Task<Result<Version>> publish(io::Loop& loop, std::string service, std::string description) override;
  io::Task<Result<void>> delete_version(io::Loop& loop, std::string service, std::string version) override;
  io::Task<Result<Alias>> create_alias(io::Loop& loop, std::string service, Alias alias) override;
  io::Task<Result<Alias>> update_alias(io::Loop& loop, std::string service, Alias alias, IfMatch match) override;
  io::Task<Result<void>> delete_alias(io::Loop& loop, std::string service, std::string alias, IfMatch match) override;

  Result<Service> service(const std::string& service, const std::string& qualifier) const override;
  Result<Function> function(const std::string& service, const std::string& qualifier, const std::string& function) const override;
  Result<Trigger> trigger(const std::string& service, const std::string& function, const std::string& trigger) const override;
  Result<Alias> alias(const std::string& service, const std::string& alias) const override;
  Page<Service> services(const ListQuery& query) const override;
  Result<Page<Function>> functions(const std::string& service, const std::string& qualifier, const ListQuery& query) const override;
  Result<std::shared_ptr<const Trigger>> trigger_for(const std::string& service, const std::string& function, std::string_view type, std::string_view qualifier) const override;
  Result<Page<Trigger>> triggers(const std::string& service, const std::string& function, const ListQuery& query) const override;
  Result<Page<Version>> versions(const std::string& service, const ListQuery& query, Order order) const override;
  Result<Page<Alias>> aliases(const std::string& service, const ListQuery& query) const override;
  std::vector<Trigger> all_triggers(const std::string& type) const override;
  Result<std::shared_ptr<const Runnable>> resolve(const std::string& service, const std::string& qualifier, const std::string& function,
                                                  double dice) const override;
  std::shared_ptr<const Runnable> current(const Runnable& runnable) const override;
  void on_change(std::function<void()> listener) override;

 private:
  std::shared_ptr<const Tables> tables() const { return tables_.load(); }
  // Commits `batch` and publishes `changed` as the service's table, or removes the service when it is nullptr.
  io::Task<Result<void>> publish_change(io::Loop& loop, std::string service, std::shared_ptr<ServiceTable> changed, store::Batch batch);
  Result<void> check_trigger(const ServiceTable& table, const Trigger& trigger, const Tables& all) const;
  static Result<void> check_alias(const ServiceTable& table, const Alias& alias);

  store::Store& store_;
  CodeStore& code_;
  const Clock& clock_;
  Rng& rng_;
  Turns turns_;
  std::atomic<std::shared_ptr<const Tables>> tables_;
  std::mutex listeners_mutex_;
  std::vector<std::function<void()>> listeners_;
};

}  // namespace mayfly::functions
