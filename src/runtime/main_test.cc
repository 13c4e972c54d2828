// The test binary is also the sandbox's init: the factory starts the running binary again, as it does in the server.
#include <gtest/gtest.h>

#include "sandbox/init.h"

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == mayfly::sandbox::kInitArgument) return mayfly::sandbox::init_main(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
