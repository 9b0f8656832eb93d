"""Sparse attention through the C interface, with nothing but Python's standard library.

    python3 oracle.py PATH/TO/libDSAOracle.so

Scores index keys, selects, attends and reads a packed cache, computes the same numbers once more in plain loops, and
ends with status 1 when the two differ. The declarations and the loops are independent of the library: only
include/dsa_oracle.h and the formats' definitions were followed.
"""

import ctypes
import math
import random
import struct
import sys
from array import array

FLOAT32, BFLOAT16, E4M3 = 0, 1, 2  # element types of the header
PAGE_TOKENS, LATENT, ROPE = 64, 512, 64
ABI_VERSION = 1


def load(path):
    """The library, with the types of the functions used here."""
    library = ctypes.CDLL(path)
    size, number, pointer = ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p
    library.dsa_description.restype = ctypes.c_char_p
    library.dsa_last_error_message.restype = ctypes.c_char_p
    library.dsa_mqa_logits.argtypes = (
        [pointer, number, pointer, number] + [pointer] * 4 + [size] * 4 + [pointer])
    library.dsa_paged_mqa_logits.argtypes = [pointer, number] + [pointer] * 4 + [size] * 7 + [pointer]
    library.dsa_topk.argtypes = [pointer] * 3 + [size] * 3 + [pointer]
    library.dsa_sparse_mla_forward.argtypes = (
        [pointer, number, pointer, number] + [pointer] * 2 + [size] * 5
        + [ctypes.c_float, size] + [pointer] * 3)
    library.dsa_sparse_mla_packed_forward.argtypes = (
        [pointer, number] + [pointer] * 3 + [size] * 4 + [ctypes.c_float] + [pointer] * 3)
    library.dsa_pack_latents.argtypes = [pointer, pointer, number, size, number, pointer]
    if library.dsa_abi_version() != ABI_VERSION:
        sys.exit("the library has another ABI version")
    return library


def address(values):
    """Where the elements of an array lie."""
    return values.buffer_info()[0]


def call(function, *arguments):
    """Calls a function of the library; a refusal ends the program with its reason."""
    if function(*arguments) != 0:
        sys.exit(LIBRARY.dsa_last_error_message().decode())


# The same numbers in plain loops


def e4m3(code):
    """The value of an E4M3 code."""
    sign = -1.0 if code & 0x80 else 1.0
    exponent, fraction = code >> 3 & 15, code & 7
    if code & 0x7F == 0x7F:
        return math.nan
    return sign * (fraction * 2.0 ** -9 if exponent == 0 else (1 + fraction / 8) * 2.0 ** (exponent - 7))


def bfloat16(value):
    """A number rounded to bfloat16, nearest, ties to even."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    bits = bits + 0x7FFF + (bits >> 16 & 1) & 0xFFFF0000
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def attention(queries, rows, chosen, scale, value_dim):
    """Output, largest score and natural log-sum-exp of one query row over chosen rows."""
    if not chosen:
        return [0.0] * value_dim, -math.inf, math.inf
    scores = [scale * sum(a * b for a, b in zip(queries, rows[i])) for i in chosen]
    largest = max(scores)
    total = sum(math.exp(score - largest) for score in scores)
    weights = [math.exp(score - largest) / total for score in scores]
    output = [sum(w * rows[i][c] for w, i in zip(weights, chosen)) for c in range(value_dim)]
    return output, largest, largest + math.log(total)


def same(name, found, expected, bound=2e-5):
    """Ends the program unless two lists agree: infinities exactly, numbers to a bound."""
    if len(found) != len(expected):
        sys.exit(f"{name}: {len(found)} numbers, expected {len(expected)}")
    for index, (a, b) in enumerate(zip(found, expected)):
        if a != b and not abs(a - b) <= bound + bound * abs(b):
            sys.exit(f"{name}: {a} at {index}, expected {b}")
    print(f"{name}: {len(found)} numbers agree")


# The example


def index_and_select(generator):
    """FP8 index logits of one sequence, unpaged and paged, and the best keys of each row."""
    tokens, heads, dim, keys, k = 3, 4, 32, 150, 16
    codes = [code for code in range(256) if code & 0x7F != 0x7F and e4m3(code & 0x7F) <= 16]
    q = array("B", generator.choices(codes, k=tokens * heads * dim))
    kv = array("B", generator.choices(codes, k=keys * dim))
    scales = array("f", [generator.uniform(0.01, 0.1) for _ in range(keys)])
    weights = array("f", [generator.uniform(-1, 1) / 64 for _ in range(tokens * heads)])
    # As a sequence of 150 tokens whose last three are the queries: no start, causal ends.
    start, end = array("i", [0] * tokens), array("i", [keys - tokens + i + 1 for i in range(tokens)])
    expected = []
    for token in range(tokens):
        for key in range(keys):
            total = 0.0
            for head in range(heads):
                at = (token * heads + head) * dim
                product = sum(e4m3(q[at + c]) * e4m3(kv[key * dim + c]) for c in range(dim))
                total += weights[token * heads + head] * max(product, 0.0)
            expected.append(total * scales[key] if key < end[token] else -math.inf)

    logits = array("f", [0] * tokens * keys)
    call(LIBRARY.dsa_mqa_logits, address(q), E4M3, address(kv), E4M3, address(scales), address(weights),
         address(start), address(end), tokens, heads, dim, keys, address(logits))
    same("logits", logits, expected)

    # The same keys in pages 4, 0 and 2 of a pool: the codes of 64 tokens, then their scales.
    table, pages = array("i", [4, 0, 2]), 5
    cache = bytearray(b"\xff" * (pages * PAGE_TOKENS * (dim + 4)))
    for key in range(keys):
        page = table[key // PAGE_TOKENS] * PAGE_TOKENS * (dim + 4)
        place = key % PAGE_TOKENS
        cache[page + place * dim:page + (place + 1) * dim] = kv[key * dim:(key + 1) * dim].tobytes()
        struct.pack_into("<f", cache, page + PAGE_TOKENS * dim + 4 * place, scales[key])
    cache, context = array("B", cache), array("i", [keys])
    paged = array("f", [0] * tokens * keys)
    call(LIBRARY.dsa_paged_mqa_logits, address(q), E4M3, address(cache), address(weights), address(context),
         address(table), 1, tokens, heads, dim, pages, len(table), keys, address(paged))
    same("paged logits", paged, expected)

    indices = array("i", [0] * tokens * k)
    call(LIBRARY.dsa_topk, address(logits), address(start), address(end), tokens, keys, k, address(indices))
    best = []
    for token in range(tokens):
        row = logits[token * keys:(token + 1) * keys]
        best += sorted(sorted(range(end[token]), key=lambda i: (-row[i], i))[:k])
    same("selection", indices, best, bound=0)
    return indices, tokens, keys, k


def attend(generator, indices, tokens, keys, k):
    """Sparse attention to the selected rows, one query without any."""
    heads, width, value_dim, scale = 2, 24, 16, 0.2
    q = array("f", [generator.gauss(0, 1) for _ in range(tokens * heads * width)])
    kv = array("f", [generator.gauss(0, 1) for _ in range(keys * width)])
    rows = [kv[i * width:(i + 1) * width] for i in range(keys)]
    length = array("i", [k, 0, k // 2])
    output, largest, lse = (array("f", [0] * tokens * heads * n) for n in (value_dim, 1, 1))
    call(LIBRARY.dsa_sparse_mla_forward, address(q), FLOAT32, address(kv), FLOAT32, address(indices),
         address(length), tokens, keys, heads, width, k, scale, value_dim,
         address(output), address(largest), address(lse))
    expected = ([], [], [])
    for row in range(tokens * heads):
        token = row // heads
        chosen = indices[token * k:token * k + length[token]]
        values, top, total = attention(q[row * width:(row + 1) * width], rows, chosen, scale, value_dim)
        expected[0].extend(values)
        expected[1].append(top)
        expected[2].append(total)
    for name, found, wanted in zip(("output", "max_logits", "lse"), (output, largest, lse), expected):
        same(name, found, wanted)


def attend_packed(generator):
    """Attention to a paged cache of packed rows, whose bytes are read here by the format's definition."""
    tokens, heads, pages, k, scale = 2, 2, 2, 5, 192 ** -0.5
    count, width = pages * PAGE_TOKENS, LATENT + ROPE
    latents = array("f", [generator.gauss(0, 1) for _ in range(count * LATENT)])
    rope = array("f", [generator.gauss(0, 1) for _ in range(count * ROPE)])
    cache = array("B", bytes(count * 656))
    call(LIBRARY.dsa_pack_latents, address(latents), address(rope), FLOAT32, count, 1, address(cache))
    rows, data = [], cache.tobytes()
    for row in range(count):
        scales = struct.unpack_from("<4f", data, row * 656 + LATENT)
        bits = struct.unpack_from("<64H", data, row * 656 + LATENT + 16)
        values = [bfloat16(e4m3(data[row * 656 + c]) * scales[c // 128]) for c in range(LATENT)]
        rows.append(values + [struct.unpack("<f", struct.pack("<I", b << 16))[0] for b in bits])
    # What was packed comes back to within half a step of 3 fraction bits, the rope keys to bfloat16.
    for row in (0, count - 1):
        same("packed rope key", rows[row][LATENT:], [bfloat16(v) for v in rope[row * ROPE:(row + 1) * ROPE]], 0)
        for column in range(LATENT):
            value = latents[row * LATENT + column]
            if abs(rows[row][column] - value) > max(abs(value) / 15, 2.0 ** -9):
                sys.exit(f"packed latent: {rows[row][column]} for {value}")

    q = array("f", [generator.gauss(0, 1) for _ in range(tokens * heads * width)])
    indices = array("i", [3, 127, -1, 64, 63, -1, -1, -1, -1, -1])
    output, largest, lse = (array("f", [0] * tokens * heads * n) for n in (LATENT, 1, 1))
    call(LIBRARY.dsa_sparse_mla_packed_forward, address(q), FLOAT32, address(cache), address(indices), None,
         tokens, pages, heads, k, scale, address(output), address(largest), address(lse))
    expected = ([], [], [])
    for row in range(tokens * heads):
        chosen = [i for i in indices[row // heads * k:(row // heads + 1) * k] if i >= 0]
        values, top, total = attention(q[row * width:(row + 1) * width], rows, chosen, scale, LATENT)
        expected[0].extend(values)
        expected[1].append(top)
        expected[2].append(total)
    for name, found, wanted in zip(("output", "max_logits", "lse"), (output, largest, lse), expected):
        same("packed " + name, found, wanted)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    LIBRARY = load(sys.argv[1])
    print(LIBRARY.dsa_description().decode())
    numbers = random.Random(5)
    attend(numbers, *index_and_select(numbers))
    attend_packed(numbers)
