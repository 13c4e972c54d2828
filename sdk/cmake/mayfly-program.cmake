# mayfly_program(NAME source...): a program of functions. It carries the C++ library with it, so that nothing has to be the same where it
# runs, and stack traces reach into that library too. MAYFLY_STATIC: carries the C library as well (no dlopen, no name service plug-ins).
option(MAYFLY_STATIC "link programs of functions wholly statically" OFF)
function(mayfly_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE mayfly::sdk)
  target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc $<$<BOOL:${MAYFLY_STATIC}>:-static>)
endfunction()
