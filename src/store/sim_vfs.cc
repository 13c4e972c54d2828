#include "store/sim_vfs.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

namespace mayfly::store {
namespace {
constexpr size_t kSectorBytes = 512;
constexpr int kMaxPathBytes = 512;
}  // namespace

struct SimVfs::File {
  // A write, or with no data a truncation to `offset`, since the last sync.
  struct Change {
    size_t offset;
    std::optional<std::string> data;
  };

  std::string bytes, durable_bytes;
  std::vector<Change> changes;
  bool is_log = false;           // a journal or write-ahead log: its first sync is also the folder's
  bool name_is_durable = false;
  bool deleted = false;          // and the deletion may yet be undone

  void crash(SimPower& power) {
    uint64_t keep_of_4 = std::min<uint64_t>(power.rng().below(6), 4);  // all (twice as likely), nothing, or some
    auto keeps = [&] { return power.rng().below(4) < keep_of_4; };
    for (const Change& change : changes) {
      if (!change.data) {
        if (keeps()) durable_bytes.resize(std::min(durable_bytes.size(), change.offset));
        continue;
      }
      for (size_t at = 0; at < change.data->size();) {
        size_t next = std::min(change.data->size(), ((change.offset + at) / kSectorBytes + 1) * kSectorBytes - change.offset);
        if (keeps()) put(durable_bytes, change.offset + at, std::string_view(*change.data).substr(at, next - at));
        at = next;
      }
    }
    changes.clear();
    bytes = durable_bytes;
  }

  static void put(std::string& into, size_t offset, std::string_view data) {
    if (into.size() < offset + data.size()) into.resize(offset + data.size());
    into.replace(offset, data.size(), data);
  }
};

struct SimVfs::Registration {
  sqlite3_vfs vfs{};
};

// A handle of SQLite's, in memory that it allocates.
struct SimHandle {
  sqlite3_file base;
  SimVfs* vfs;
  std::shared_ptr<void>* file;  // a SimVfs::File
};

struct SimVfsCalls {
  static SimVfs& vfs(sqlite3_vfs* self) { return *static_cast<SimVfs*>(self->pAppData); }
  static SimHandle& handle(sqlite3_file* file) { return *reinterpret_cast<SimHandle*>(file); }
  static SimVfs& vfs(sqlite3_file* file) { return *handle(file).vfs; }
  static SimVfs::File& file_of(sqlite3_file* file) { return *static_cast<SimVfs::File*>(handle(file).file->get()); }

  static int open(sqlite3_vfs* self, const char* path, sqlite3_file* out, int flags, int* out_flags) {
    out->pMethods = nullptr;
    SimVfs& sim = vfs(self);
    if (!sim.power_.is_on()) return SQLITE_CANTOPEN;
    auto& file = sim.files_[path];
    if (!file || file->deleted) {
      if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
      if (!sim.change([&] { file = std::make_shared<SimVfs::File>(); })) return SQLITE_CANTOPEN;
      file->is_log = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    }
    handle(out).vfs = &sim;
    handle(out).file = new std::shared_ptr<void>(file);
    out->pMethods = &kMethods;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }
  static int close(sqlite3_file* file) {
    delete handle(file).file;
    return SQLITE_OK;
  }
  static int read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
    if (!vfs(file).power_.is_on()) return SQLITE_IOERR_READ;
    const std::string& bytes = file_of(file).bytes;
    size_t from = std::min(bytes.size(), static_cast<size_t>(offset)), got = std::min(static_cast<size_t>(size), bytes.size() - from);
    std::memcpy(out, bytes.data() + from, got);
    std::memset(static_cast<char*>(out) + got, 0, static_cast<size_t>(size) - got);
    return got == static_cast<size_t>(size) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
  }
  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    std::string bytes(static_cast<const char*>(data), static_cast<size_t>(size));
    bool done = vfs(file).change([&] {
      SimVfs::File::put(file_of(file).bytes, static_cast<size_t>(offset), bytes);
      file_of(file).changes.push_back({static_cast<size_t>(offset), std::move(bytes)});
    });
    return done ? SQLITE_OK : SQLITE_IOERR_WRITE;
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    bool done = vfs(file).change([&] {
      file_of(file).bytes.resize(static_cast<size_t>(size));
      file_of(file).changes.push_back({static_cast<size_t>(size), std::nullopt});
    });
    return done ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
  }
  static int sync(sqlite3_file* file, int) {
    bool done = vfs(file).change([&] { vfs(file).sync(file_of(file)); });
    return done ? SQLITE_OK : SQLITE_IOERR_FSYNC;
  }
  static int file_size(sqlite3_file* file, sqlite3_int64* size) {
    *size = static_cast<sqlite3_int64>(file_of(file).bytes.size());
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* self, const char* path, int sync_folder) {
    SimVfs& sim = vfs(self);
    if (!sim.files_.contains(path)) return SQLITE_IOERR_DELETE_NOENT;
    bool done = sim.change([&] {
      if (sync_folder != 0) sim.files_.erase(path);
      else sim.files_[path]->deleted = true;
    });
    return done ? SQLITE_OK : SQLITE_IOERR_DELETE;
  }
  static int access(sqlite3_vfs* self, const char* path, int, int* out) {
    auto file = vfs(self).files_.find(path);
    *out = file != vfs(self).files_.end() && file->second && !file->second->deleted ? 1 : 0;
    return SQLITE_OK;
  }
  static int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
  }
  static int randomness(sqlite3_vfs* self, int size, char* out) {
    std::string bytes = vfs(self).power_.rng().bytes(static_cast<size_t>(size));
    std::memcpy(out, bytes.data(), bytes.size());
    return size;
  }
  static int pass_time(sqlite3_vfs*, int us) { return us; }
  static int now(sqlite3_vfs*, double* julian_day) {
    *julian_day = 2'461'000.5;
    return SQLITE_OK;
  }
  static int last_error(sqlite3_vfs*, int, char*) { return 0; }
  // One connection, so locks always succeed.
  static int lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int reserved(sqlite3_file*, int* out) {
    *out = 0;
    return SQLITE_OK;
  }
  static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector_size(sqlite3_file*) { return kSectorBytes; }
  static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }  // as SQLite's own for Linux says

  static const sqlite3_io_methods kMethods;
};

const sqlite3_io_methods SimVfsCalls::kMethods = {
    .iVersion = 1,
    .xClose = close,
    .xRead = read,
    .xWrite = write,
    .xTruncate = truncate,
    .xSync = sync,
    .xFileSize = file_size,
    .xLock = lock,
    .xUnlock = lock,
    .xCheckReservedLock = reserved,
    .xFileControl = control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
};

SimVfs::SimVfs(SimPower& power, Syncs syncs)
    : power_(power),
      syncs_(syncs),
      name_(fmt::format("mayfly-sim-{}", static_cast<const void*>(this))),
      registration_(std::make_unique<Registration>()) {
  sqlite3_vfs& vfs = registration_->vfs;
  vfs.iVersion = 1;
  vfs.szOsFile = sizeof(SimHandle);
  vfs.mxPathname = kMaxPathBytes;
  vfs.zName = name_.c_str();
  vfs.pAppData = this;
  vfs.xOpen = SimVfsCalls::open;
  vfs.xDelete = SimVfsCalls::remove;
  vfs.xAccess = SimVfsCalls::access;
  vfs.xFullPathname = SimVfsCalls::full_path;
  vfs.xRandomness = SimVfsCalls::randomness;
  vfs.xSleep = SimVfsCalls::pass_time;
  vfs.xCurrentTime = SimVfsCalls::now;
  vfs.xGetLastError = SimVfsCalls::last_error;
  MAYFLY_CHECK_OP(sqlite3_vfs_register(&vfs, 0), ==, SQLITE_OK);
}

SimVfs::~SimVfs() { sqlite3_vfs_unregister(&registration_->vfs); }

bool SimVfs::change(const std::function<void()>& make) {
  if (!power_.is_on()) return false;
  if (!power_.strikes()) {
    make();
    return true;
  }
  if (power_.coin()) make();
  try {
    power_.cut();
  } catch (const PowerCut&) {
    return false;  // SQLite is C: told by a return code
  }
}

void SimVfs::sync(File& file) {
  if (syncs_ == Syncs::ignored) return;
  file.durable_bytes = file.bytes;
  file.changes.clear();
  if (!file.is_log || file.name_is_durable) return;
  std::erase_if(files_, [](auto& entry) { return !entry.second || entry.second->deleted; });
  for (auto& [path, each] : files_) each->name_is_durable = true;
}

void SimVfs::crash() {
  MAYFLY_CHECK(!power_.is_on());
  std::erase_if(files_, [&](auto& entry) {
    auto& file = entry.second;
    bool gone = !file || (file->deleted && power_.coin()) || (!file->name_is_durable && power_.coin());
    if (gone) return true;
    file->deleted = false;
    file->name_is_durable = true;
    file->crash(power_);
    return false;
  });
}

}  // namespace mayfly::store
