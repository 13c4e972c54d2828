#include "store/sqlite_engine.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>

#include "base/check.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::store {
namespace {

// 8 KiB pages keep a row of up to about 2 KiB in its leaf (a quarter of the page); with 4 KiB every 1 KiB row would spill into a
// page of its own. The cache is a ceiling, filled on demand: enough for the inner pages of about 10 M rows, small beside the 40 MB
// that the whole idle server may use. The log is counted in frames of one page and a 24-byte header.
constexpr const char* kSettings =
    "PRAGMA locking_mode=EXCLUSIVE;"
    "PRAGMA page_size=8192;"
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA wal_autocheckpoint=0;"
    "PRAGMA journal_size_limit=-1;"
    "PRAGMA mmap_size=0;"
    "PRAGMA cache_size=-8192;"
    "PRAGMA temp_store=MEMORY;"
    "CREATE TABLE IF NOT EXISTS kv(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "BEGIN IMMEDIATE; PRAGMA user_version=1; COMMIT;";
constexpr int64_t kFrameBytes = 8192 + 24;

class Connection {
 public:
  Connection(std::string path, const std::string& vfs) : path_(std::move(path)) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path_.c_str(), &db_, flags, vfs.empty() ? nullptr : vfs.c_str()) != SQLITE_OK) fail_and_close("open");
    if (sqlite3_exec(db_, kSettings, nullptr, nullptr, nullptr) != SQLITE_OK) fail_and_close("set up");
  }
  Connection(const Connection&) = delete;
  ~Connection() { sqlite3_close(db_); }

  sqlite3* db() const { return db_; }

  [[noreturn]] void fail(const char* doing) const {
    int code = sqlite3_errcode(db_);
    std::string what = code == SQLITE_BUSY || code == SQLITE_LOCKED ? "another process or connection has it open" : sqlite3_errmsg(db_);
    int error = sqlite3_system_errno(db_);
    throw sys::Fault(std::string("sqlite ") + doing + " (" + what + ")", path_, error != 0 ? error : EIO);
  }

 private:
  [[noreturn]] void fail_and_close(const char* doing) {
    try {
      fail(doing);
    } catch (...) {
      sqlite3_close(db_);
      throw;
    }
  }

  std::string path_;
  sqlite3* db_ = nullptr;
};

std::string blob_of(sqlite3_stmt* statement, int column) {
  auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
  return data == nullptr ? std::string() : std::string(data, static_cast<size_t>(sqlite3_column_bytes(statement, column)));
}

// A prepared statement. Bound text is borrowed until the use ends.
class Statement {
 public:
  Statement(Connection& connection, const char* sql) : connection_(connection) {
    if (sqlite3_prepare_v3(connection.db(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) != SQLITE_OK) connection.fail("prepare");
  }
  Statement(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  void bind(int at, std::string_view blob) {
    // A null pointer would bind NULL, and an empty view may hold one.
    const char* data = blob.data() == nullptr ? "" : blob.data();
    if (sqlite3_bind_blob64(statement_, at, data, blob.size(), SQLITE_STATIC) != SQLITE_OK) connection_.fail("bind");
  }
  void bind(int at, int64_t number) {
    if (sqlite3_bind_int64(statement_, at, number) != SQLITE_OK) connection_.fail("bind");
  }
  // True while there is a row.
  bool step() {
    int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) connection_.fail("step");
    return false;
  }
  void run() {
    step();
    reset();
  }
  void reset() { sqlite3_reset(statement_); }
  std::string column(int at) { return blob_of(statement_, at); }

 private:
  Connection& connection_;
  sqlite3_stmt* statement_ = nullptr;
};

// Ends a statement's use on every path out of a scope.
struct Use {
  Statement& statement;
  ~Use() { statement.reset(); }
};

class SqliteEngine final : public Engine {
 public:
  SqliteEngine(const std::string& path, const std::string& vfs) : connection_(path, vfs) {
    sqlite3_wal_hook(connection_.db(), &SqliteEngine::on_commit, this);
    if (!vfs.empty()) return;
    // The file's own directory entry; SQLite syncs the folder for its log only.
    auto folder = std::filesystem::path(path).parent_path().string();
    if (folder.empty()) folder = ".";
    sys::check(::fsync(sys::open_file(folder, O_RDONLY | O_DIRECTORY).get()), "fsync", folder);
  }

  ~SqliteEngine() override {
    // Closing the last connection checkpoints and removes the log; a fault here loses nothing, the log is read again at the next open.
    sqlite3_wal_checkpoint_v2(connection_.db(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  }

  std::optional<std::string> get(const std::string& key) override {
    Use use{get_};
    get_.bind(1, key);
    if (!get_.step()) return std::nullopt;
    return get_.column(0);
  }

  std::vector<Entry> scan(const Range& range) override {
    std::vector<Entry> out;
    if (!range.last.empty() && range.last <= range.first) return out;
    Statement& statement = range.last.empty() ? (range.reverse ? scan_all_reverse_ : scan_all_) : (range.reverse ? scan_reverse_ : scan_);
    Use use{statement};
    statement.bind(1, range.first);
    statement.bind(2, range.last);
    statement.bind(3, static_cast<int64_t>(std::min<size_t>(range.limit, INT64_MAX)));
    while (statement.step()) out.push_back({statement.column(0), range.keys_only ? std::string() : statement.column(1)});
    return out;
  }

  std::vector<bool> apply(std::span<const Batch> batches) override {
    std::vector<bool> applied;
    applied.reserve(batches.size());
    begin_.run();
    for (const Batch& batch : batches) applied.push_back(apply_one(batch));
    commit_.run();
    if (wal_frames_ * kFrameBytes > kCheckpointWalBytes) checkpoint();
    return applied;
  }

 private:
  static int on_commit(void* self, sqlite3*, const char*, int frames) {
    static_cast<SqliteEngine*>(self)->wal_frames_ = frames;
    return SQLITE_OK;
  }

  // Expectations are judged before the first write, so a refused batch has nothing to undo.
  bool apply_one(const Batch& batch) {
    for (const Expectation& expectation : batch.expectations) {
      if (!holds(expectation)) return false;
    }
    for (const Batch::Write& write : batch.writes) {
      Statement& statement = write.value ? put_ : erase_;
      Use use{statement};
      statement.bind(1, write.key);
      if (write.value) statement.bind(2, *write.value);
      statement.step();
    }
    return true;
  }

  bool holds(const Expectation& expectation) { return expectation.holds(get(expectation.key)); }

  // No reader can hold the log back on the only connection, so this always empties it; SQLite then overwrites it from its start.
  void checkpoint() {
    int left = 0, done = 0;
    if (sqlite3_wal_checkpoint_v2(connection_.db(), nullptr, SQLITE_CHECKPOINT_RESTART, &left, &done) != SQLITE_OK) connection_.fail("checkpoint");
    MAYFLY_CHECK_OP(left, ==, done);
    wal_frames_ = 0;
  }

  Connection connection_;
  Statement begin_{connection_, "BEGIN IMMEDIATE"};
  Statement commit_{connection_, "COMMIT"};
  Statement get_{connection_, "SELECT value FROM kv WHERE key = ?1"};
  Statement put_{connection_, "INSERT INTO kv(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value"};
  Statement erase_{connection_, "DELETE FROM kv WHERE key = ?1"};
  Statement scan_{connection_, "SELECT key, value FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3"};
  Statement scan_reverse_{connection_, "SELECT key, value FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3"};
  Statement scan_all_{connection_, "SELECT key, value FROM kv WHERE key >= ?1 AND ?2 IS NOT NULL ORDER BY key LIMIT ?3"};
  Statement scan_all_reverse_{connection_, "SELECT key, value FROM kv WHERE key >= ?1 AND ?2 IS NOT NULL ORDER BY key DESC LIMIT ?3"};
  int64_t wal_frames_ = 0;
};

}  // namespace

std::unique_ptr<Engine> open_sqlite_engine(std::string path, std::string vfs) { return std::make_unique<SqliteEngine>(path, vfs); }

}  // namespace mayfly::store
