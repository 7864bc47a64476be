// What bindings take of a C library, for a sandbox that has none. Memory lasts for one decision: nothing needs to be freed.
#ifndef PUREFOLD_STDLIB_H
#define PUREFOLD_STDLIB_H

#include <stddef.h>

/// Memory for one decision. Ends the decision where there is no more.
void *malloc(size_t size);
/// `block` in a place of another size, with what it held.
void *realloc(void *block, size_t size);
/// Nothing: the whole memory goes at the end of the decision.
void free(void *block);
/// Ends the decision: a fault.
_Noreturn void abort(void);

#endif
