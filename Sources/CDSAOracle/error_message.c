// The only state of the C interface: one line of text a thread, in C because Swift has no thread-local storage.

#include "dsa_oracle.h"
#include "error_message.h"

#include <string.h>

static _Thread_local char message[DSA_ERROR_MESSAGE_BYTES];

const char *dsa_last_error_message(void) { return message; }

void dsa_oracle_set_error_message(const char *text) {
    size_t length = strlen(text);
    if (length >= sizeof message) {
        length = sizeof message - 1;
        // Not in the middle of a UTF-8 sequence.
        while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) {
            length -= 1;
        }
    }
    memcpy(message, text, length);
    message[length] = 0;
}
