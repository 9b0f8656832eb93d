// For the implementation in Swift, not for callers: see dsa_oracle.h.

#ifndef DSA_ORACLE_ERROR_MESSAGE_H
#define DSA_ORACLE_ERROR_MESSAGE_H

#define DSA_ERROR_MESSAGE_BYTES 512

// Sets what dsa_last_error_message returns on the calling thread; longer text is cut.
__attribute__((visibility("hidden"))) void dsa_oracle_set_error_message(const char *text);

#endif
