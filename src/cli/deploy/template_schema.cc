#include "cli/deploy/template_schema.h"

namespace mayfly::cli {
namespace {

constexpr bool kRequired = true;

Schema auto_or(Schema schema) { return one_of("Auto or a map", {word({"Auto"}), std::move(schema)}); }

Schema policies() {
  Schema document = map_of(anything());
  return one_of("a policy name, a policy document, or a list of them",
                {text(), document, list(one_of("a policy name or a policy document", {text(), document}))});
}

// Every event may name the version or alias to call and the role to call it with.
Schema event(std::vector<Schema::Member> members) {
  members.push_back({"InvocationRole", text()});
  members.push_back({"Qualifier", one_of("a text", {text(), integer()})});
  return object(std::move(members));
}

Schema lifecycle_hook() { return object({{"Handler", text()}, {"Timeout", integer(1, 90)}}); }

Schema key_filter() {
  Schema rule = object({{"Prefix", text()}, {"Suffix", text()}, {"prefix", text()}, {"suffix", text()}});
  return object({{"Key", rule}, {"key", rule}});
}

std::map<std::string, Schema, std::less<>> make_event_schemas() {
  Schema methods = list(word({"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"}));
  Schema job = object({{"MaxRetryTime", integer(0, 100)}, {"TriggerInterval", integer(3, 600)}});
  return {
      {"Timer", event({{"CronExpression", text(), kRequired}, {"Payload", text()}, {"Enable", boolean()}})},
      {"HTTP", event({{"AuthType", word({"ANONYMOUS", "FUNCTION", "anonymous", "function", "Anonymous", "Function"})}, {"Methods", methods}})},
      {"OSS", event({{"BucketName", text()}, {"bucketName", text()}, {"Events", list(text())}, {"events", list(text())},
                     {"Filter", key_filter()}, {"filter", key_filter()}})},
      {"Log", event({{"SourceConfig", object({{"Logstore", text(), kRequired}}), kRequired}, {"JobConfig", job},
                     {"LogConfig", object({{"Project", text()}, {"Logstore", text()}})}, {"FunctionParameter", map_of(anything())},
                     {"Enable", boolean()}})},
      {"MNSTopic", event({{"TopicName", text(), kRequired}, {"Region", text()}, {"NotifyContentFormat", word({"STREAM", "JSON"})},
                          {"NotifyStrategy", word({"BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"})}, {"FilterTag", text()}})},
      {"RDS", event({{"InstanceId", text(), kRequired}, {"SubscriptionObjects", list(text()), kRequired}, {"Retry", integer(0, 3)},
                     {"Concurrency", integer(1, 5)}, {"EventFormat", word({"protobuf", "json", "sql"})}})},
      {"TableStore", event({{"InstanceName", text(), kRequired}, {"TableName", text(), kRequired}})},
      {"CDN", event({{"EventName", text(), kRequired}, {"EventVersion", text(), kRequired}, {"Notes", text()},
                     {"Filter", map_of(list(text()))}})},
  };
}

Schema make_function_schema() {
  Schema destination = object({{"OnSuccess", text()}, {"OnFailure", text()}});
  Schema container = object({{"Image", text(), kRequired}, {"Command", one_of("a text or a list", {text(), list(text())})},
                             {"Args", one_of("a text or a list", {text(), list(text())})}, {"InstanceID", text()},
                             {"AccelerationType", word({"Default", "None"})}, {"accelerationType", word({"Default", "None"})}});
  return object({
      {"FunctionName", text()},
      {"Handler", text()},
      {"Runtime", text(), kRequired},
      {"CodeUri", text()},
      {"Initializer", text()},
      {"Description", text()},
      {"MemorySize", integer(64, 32'768)},
      {"Timeout", integer(1, 86'400)},
      {"InitializationTimeout", integer(1, 300)},
      {"EnvironmentVariables", map_of(scalar())},
      {"Layers", list(text())},
      {"CAPort", integer(1, 65'535)},
      {"InstanceConcurrency", integer(1, 100)},
      {"InstanceType", word({"e1", "c1"})},
      {"InstanceLifecycleConfig", object({{"PreFreeze", lifecycle_hook()}, {"PreStop", lifecycle_hook()}})},
      {"AsyncConfiguration", object({{"Destination", destination}, {"MaxAsyncEventAgeInSeconds", integer(1, 2'592'000)},
                                     {"MaxAsyncRetryAttempts", integer(0, 8)}, {"StatefulInvocation", boolean()}})},
      {"CustomContainerConfig", container},
  });
}

}  // namespace

const Schema& service_schema() {
  static const Schema schema = object({
      {"Description", text()},
      {"Role", text()},
      {"Policies", policies()},
      {"InternetAccess", boolean()},
      {"VpcConfig", auto_or(object({{"VpcId", text()}, {"VSwitchIds", list(text())}, {"SecurityGroupId", text()}}))},
      {"LogConfig", auto_or(object({{"Project", text()}, {"Logstore", text()}, {"EnableRequestMetrics", boolean()},
                                    {"EnableInstanceMetrics", boolean()}}))},
      {"NasConfig", auto_or(object({{"Auto", anything()}, {"UserId", integer()}, {"GroupId", integer()},
                                    {"MountPoints", list(object({{"ServerAddr", text()}, {"MountDir", text()}}))}}))},
      {"TracingConfig", one_of("Enable, Disable or a map", {word({"Enable", "Disable"}), map_of(anything())})},
  });
  return schema;
}

const Schema& function_schema() {
  static const Schema schema = make_function_schema();
  return schema;
}

const Schema& flow_schema() {
  static const Schema schema = object({
      {"Name", text()},
      {"Description", text(), kRequired},
      {"DefinitionUri", text()},
      {"Definition", one_of("a text or Fn::Sub", {text(), map_of(anything())})},
      {"Role", text()},
      {"Policies", policies()},
      {"DependsOn", one_of("a name or a list of names", {text(), list(text())})},
  });
  return schema;
}

const Schema& domain_schema() {
  static const Schema schema = object({
      {"DomainName", text()},
      {"Protocol", word({"HTTP", "HTTP,HTTPS"}), kRequired},
      {"RouteConfig", object({{"Routes", map_of(object({{"ServiceName", text(), kRequired}, {"FunctionName", text(), kRequired},
                                                        {"Qualifier", text()}}))},
                              {"routes", map_of(anything())}})},
      {"CertConfig", object({{"CertName", text(), kRequired}, {"PrivateKey", text(), kRequired}, {"Certificate", text(), kRequired}})},
  });
  return schema;
}

const Schema* event_schema(std::string_view type) {
  static const std::map<std::string, Schema, std::less<>> schemas = make_event_schemas();
  auto found = schemas.find(type);
  return found == schemas.end() ? nullptr : &found->second;
}

}  // namespace mayfly::cli
