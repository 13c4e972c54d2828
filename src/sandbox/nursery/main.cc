// The nursery as a program of its own, see ../init.h.
#include "sandbox/nursery_process.h"

int main() { return mayfly::sandbox::serve_nursery(); }
