#pragma once
// A closed schema for configuration texts: every property is named, everything else is refused, and each complaint says where it is and
// what should be there ("Resources.svc.fn.Properties.Timeout: should be an integer"). Value type; schemas are built by the functions
// below and nest freely.

#include <string>
#include <vector>

#include "base/json.h"

namespace mayfly::cli {

struct Schema {
  struct Member;
  enum class Kind { anything, text, integer, boolean, scalar, object, list, map, one_of };
  Kind kind = Kind::anything;
  std::string what;                 // "an integer from 1 to 100": completes "should be"
  int64_t least = INT64_MIN, most = INT64_MAX;
  std::vector<std::string> words;   // the allowed texts; empty: any
  std::vector<Member> members;      // of an object
  std::vector<Schema> inner;        // list and map: the one item schema; one_of: the alternatives
};

struct Schema::Member {
  std::string name;
  Schema schema;
  bool required = false;
};

Schema anything();
Schema text();
Schema word(std::vector<std::string> words);
Schema integer(int64_t least = INT64_MIN, int64_t most = INT64_MAX);
Schema boolean();
Schema scalar();                    // text, number or bool
Schema object(std::vector<Schema::Member> members);
Schema list(Schema item);
Schema map_of(Schema item);         // any keys
Schema one_of(std::string what, std::vector<Schema> alternatives);

// Every complaint about `value`, each beginning with its path.
std::vector<std::string> complaints(const json::value& value, const Schema& schema, const std::string& path);

}  // namespace mayfly::cli
