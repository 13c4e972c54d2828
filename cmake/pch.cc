// The object file that owns the precompiled header (cmake/rooms.cmake).
