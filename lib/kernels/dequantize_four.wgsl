// Four elements that lie beside each other in blocks, for the kernels that read them: dequantize, embedding, matvec and
// the products of matrices. What a part of a block shares, `scales_of_blocks`, can be read once for all of the part.
//
// Prepended to a kernel that defines `word(i)`, the i-th u32 of the blocks, and the const FORMAT: 3 q4_0, 4 q4_1,
// 5 q5_0, 6 q5_1, 7 q8_0, 8 q4_k, 9 q6_k, 10 nf4, 11 int8; and NF4, the 16 levels (by dequantize.ts).
//
// Exact: an f16 has 11 bits and what it is multiplied by at most 13, so products fit f32 and the one rounding is that of
// the last sum, whether or not the compiler fuses it; with an f32 scale (10, 11) that of the one product. WGSL lets a driver flush f16 subnormals in unpack2x16float (scales
// below 6e-5) and assume that there are no infinities and NaNs; lavapipe does neither.

/// Four bytes from byte `at` on, which is even, as blocks are; q4_1, q5_1 and q4_k lie on whole words.
fn four_bytes(at: u32) -> u32 {
  let low = word(at / 4u);
  if (FORMAT == 4 || FORMAT == 6 || FORMAT == 8) { return low; }
  return select((low >> 16u) | (word(at / 4u + 1u) << 16u), low, at % 4u == 0u);
}

fn one_byte(at: u32) -> u32 { return (word(at / 4u) >> (8u * (at % 4u))) & 255u; }

/// Two f16 numbers from byte `at` on.
fn two_halves(at: u32) -> vec2f { return unpack2x16float(four_bytes(at)); }

/// The low (`shift` 0) or high (4) nibbles of four bytes from `at` on.
fn nibbles(at: u32, shift: u32) -> vec4u {
  return (vec4u(four_bytes(at)) >> (vec4u(0u, 8u, 16u, 24u) + shift)) & vec4u(15u);
}

/// Bits `from` to `from + 3` of the word at byte `at`, each as bit 4 of a number.
fn fifth_bits(at: u32, from_bit: u32) -> vec4u {
  return ((vec4u(four_bytes(at)) >> (vec4u(0u, 1u, 2u, 3u) + from_bit)) & vec4u(1u)) << vec4u(4u);
}

/// The 6-bit scale and minimum of part `s` of a Q4_K block, whose twelve bytes of them start at `at`.
fn scale_and_minimum(at: u32, s: u32) -> vec2f {
  if (s < 4u) { return vec2f(f32(one_byte(at + s) & 63u), f32(one_byte(at + 4u + s) & 63u)); }
  let low = one_byte(at + 4u + s);
  let scale = (low & 15u) | ((one_byte(at + s - 4u) >> 2u) & 48u);
  let minimum = (low >> 4u) | ((one_byte(at + s) >> 2u) & 48u);
  return vec2f(f32(scale), f32(minimum));
}

/// Four numbers of 8 bits in two's complement.
fn signed_bytes(bytes: u32) -> vec4f {
  return vec4f(bitcast<vec4i>(vec4u(bytes) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u));
}

/// The levels numbered `q`; NF4 is a private variable, as lavapipe takes minutes to compile looking up a constant.
fn nf4_levels(q: vec4u) -> vec4f { return vec4f(NF4[q.x], NF4[q.y], NF4[q.z], NF4[q.w]); }

/// What elements `i` to `i + 3` share with the rest of their part of a block: scale, and what is added to the product.
fn scales_of_blocks(i: u32) -> vec2f {
  if (FORMAT == 3) { return vec2f(two_halves(i / 32u * 18u).x, 0.0); }
  if (FORMAT == 4) { return two_halves(i / 32u * 20u); }
  if (FORMAT == 5) { return vec2f(two_halves(i / 32u * 22u).x, 0.0); }
  if (FORMAT == 6) { return two_halves(i / 32u * 24u); }
  if (FORMAT == 7) { return vec2f(two_halves(i / 32u * 34u).x, 0.0); }
  if (FORMAT == 8) {
    let at = i / 256u * 144u;
    return two_halves(at) * scale_and_minimum(at + 4u, i % 256u / 32u) * vec2f(1.0, -1.0);
  }
  if (FORMAT == 9) {
    let at = i / 256u * 210u;
    let scale = bitcast<i32>(one_byte(at + 192u + i % 256u / 16u) << 24u) >> 24u;
    return vec2f(unpack2x16float(four_bytes(at + 208u) & 0xffffu).x * f32(scale), 0.0);
  }
  return vec2f(bitcast<f32>(word(i / 64u * select(17u, 9u, FORMAT == 10))), 0.0);
}

/// Elements `i` to `i + 3`, `i` a multiple of 4, before they are scaled.
fn quants_of_blocks(i: u32) -> vec4f {
  let j = i % 32u;
  let half_block = j / 16u * 4u;
  if (FORMAT == 3) { return vec4f(nibbles(i / 32u * 18u + 2u + j % 16u, half_block)) - 8.0; }
  if (FORMAT == 4) { return vec4f(nibbles(i / 32u * 20u + 4u + j % 16u, half_block)); }
  if (FORMAT == 5) {
    let at = i / 32u * 22u;
    return vec4f(nibbles(at + 6u + j % 16u, half_block) | fifth_bits(at + 2u, j)) - 16.0;
  }
  if (FORMAT == 6) {
    let at = i / 32u * 24u;
    return vec4f(nibbles(at + 8u + j % 16u, half_block) | fifth_bits(at + 4u, j));
  }
  if (FORMAT == 7) { return signed_bytes(four_bytes(i / 32u * 34u + 2u + j)); }
  if (FORMAT == 8) {
    let k = i % 256u;
    return vec4f(nibbles(i / 256u * 144u + 16u + k / 64u * 32u + j, k / 32u % 2u * 4u));
  }
  if (FORMAT == 9) {
    let at = i / 256u * 210u;
    let k = i % 128u;
    let side = i % 256u / 128u;
    let low = nibbles(at + side * 64u + k % 64u, k / 64u * 4u);
    let shifts = vec4u(0u, 8u, 16u, 24u) + k / 32u * 2u;
    let high = (vec4u(four_bytes(at + 128u + side * 32u + j)) >> shifts) & vec4u(3u);
    return vec4f(low | (high << vec4u(4u))) - 32.0;
  }
  if (FORMAT == 10) {
    let q = word(i / 64u * 9u + 1u + i % 64u / 8u) >> (i % 8u / 4u * 16u);
    return nf4_levels((vec4u(q) >> vec4u(4u, 0u, 12u, 8u)) & vec4u(15u));
  }
  return signed_bytes(word(i / 64u * 17u + 1u + i % 64u / 4u));
}

/// Elements from their part's scales; without a minimum nothing is added, which keeps the sign of a zero.
fn scaled(scales: vec2f, quants: vec4f) -> vec4f {
  if (FORMAT == 4 || FORMAT == 6 || FORMAT == 8) { return scales.x * quants + scales.y; }
  return scales.x * quants;
}

/// Elements `i` to `i + 3`, `i` a multiple of 4.
fn four_of_blocks(i: u32) -> vec4f { return scaled(scales_of_blocks(i), quants_of_blocks(i)); }
