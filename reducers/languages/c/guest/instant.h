// Arithmetic of instants: microseconds since the Unix epoch.
#ifndef PUREFOLD_INSTANT_H
#define PUREFOLD_INSTANT_H

#include <stdint.h>

/// The last instant that has a text form: 9999-12-31T23:59:59.999999Z.
#define INSTANT_LAST UINT64_C(253402300799999999)

/// So many seconds after `instant`, at most the last one.
static inline uint64_t instant_after(uint64_t instant, uint32_t seconds) {
  uint64_t step = seconds * UINT64_C(1000000);
  return instant > INSTANT_LAST || step > INSTANT_LAST - instant ? INSTANT_LAST : instant + step;
}

#endif
