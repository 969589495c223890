// Four elements that lie beside each other in blocks, for the kernels that read them: dequantize, embedding, matvec.
//
// Prepended to a kernel that defines `word(i)`, the i-th u32 of the blocks, and the const FORMAT: 3 q4_0, 4 q4_1,
// 5 q5_0, 6 q5_1, 7 q8_0, 8 q4_k, 9 q6_k, 10 nf4, 11 int8; and NF4, the 16 levels (by dequantize.ts).
//
// Exact: an f16 has 11 bits and what it is multiplied by at most 13, so products fit f32 and the one rounding is that of
// the last sum, whether or not the compiler fuses it; with an f32 scale (10, 11) that of the one product. WGSL lets a driver flush f16 subnormals in unpack2x16float (scales
// below 6e-5) and assume that there are no infinities and NaNs; lavapipe does neither.

/// Four bytes from byte `at` on, which is even, as blocks are.
fn four_bytes(at: u32) -> u32 {
  let i = at / 4u;
  if (at % 4u == 0u) { return word(i); }
  return (word(i) >> 16u) | (word(i + 1u) << 16u);
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

/// The levels numbered `q`; NF4 is a private variable, as lavapipe takes minutes to compile looking up a constant.
fn nf4_levels(q: vec4u) -> vec4f { return vec4f(NF4[q.x], NF4[q.y], NF4[q.z], NF4[q.w]); }

/// Elements `i` to `i + 3`, `i` a multiple of 4.
fn four_of_blocks(i: u32) -> vec4f {
  if (FORMAT == 8) {
    let at = i / 256u * 144u;
    let j = i % 256u;
    let part = j / 32u;
    let scales = two_halves(at) * scale_and_minimum(at + 4u, part);
    return scales.x * vec4f(nibbles(at + 16u + j / 64u * 32u + j % 32u, part % 2u * 4u)) - scales.y;
  }
  if (FORMAT == 9) {
    let at = i / 256u * 210u;
    let j = i % 128u;
    let side = i % 256u / 128u;
    let low = nibbles(at + side * 64u + j % 64u, j / 64u * 4u);
    let shifts = vec4u(0u, 8u, 16u, 24u) + j / 32u * 2u;
    let high = (vec4u(four_bytes(at + 128u + side * 32u + j % 32u)) >> shifts) & vec4u(3u);
    let scale = bitcast<i32>(one_byte(at + 192u + i % 256u / 16u) << 24u) >> 24u;
    return unpack2x16float(four_bytes(at + 208u) & 0xffffu).x * f32(scale) * (vec4f(low | (high << vec4u(4u))) - 32.0);
  }
  if (FORMAT == 10) {
    let at = i / 64u * 9u;
    let q = (vec4u(word(at + 1u + i % 64u / 8u) >> (i % 8u / 4u * 16u)) >> vec4u(4u, 0u, 12u, 8u)) & vec4u(15u);
    return bitcast<f32>(word(at)) * nf4_levels(q);
  }
  if (FORMAT == 11) {
    let at = i / 64u * 17u;
    let bytes = vec4u(word(at + 1u + i % 64u / 4u)) << vec4u(24u, 16u, 8u, 0u);
    return bitcast<f32>(word(at)) * vec4f(bitcast<vec4i>(bytes) >> vec4u(24u));
  }
  let j = i % 32u;
  let half_block = j / 16u * 4u;
  if (FORMAT == 3) {
    let at = i / 32u * 18u;
    return two_halves(at).x * (vec4f(nibbles(at + 2u + j % 16u, half_block)) - 8.0);
  }
  if (FORMAT == 4) {
    let at = i / 32u * 20u;
    let scales = two_halves(at);
    return scales.x * vec4f(nibbles(at + 4u + j % 16u, half_block)) + scales.y;
  }
  if (FORMAT == 5) {
    let at = i / 32u * 22u;
    let q = nibbles(at + 6u + j % 16u, half_block) | fifth_bits(at + 2u, j);
    return two_halves(at).x * (vec4f(q) - 16.0);
  }
  if (FORMAT == 6) {
    let at = i / 32u * 24u;
    let scales = two_halves(at);
    let q = nibbles(at + 8u + j % 16u, half_block) | fifth_bits(at + 4u, j);
    return scales.x * vec4f(q) + scales.y;
  }
  let at = i / 32u * 34u;
  let bytes = vec4u(four_bytes(at + 2u + j)) << vec4u(24u, 16u, 8u, 0u);
  return two_halves(at).x * vec4f(bitcast<vec4i>(bytes) >> vec4u(24u));
}
