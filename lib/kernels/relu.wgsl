// relu: φ(x) = x where x > 0, else 0; NaN stays. Prepended to a kernel.

// Negative numbers, -0 to -inf, are told by their bits: a compiler that takes max() for the comparison loses NaN.
fn value(x: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(x);
  return select(x, vec4f(0.0), (bits >= vec4u(0x80000000u)) & (bits <= vec4u(0xff800000u)));
}

struct Slope { share: vec4f, turn: vec4f }

fn slope(x: vec4f) -> Slope {
  return Slope(select(vec4f(1.0), vec4f(0.0), x <= vec4f(0.0)), vec4f(1.0));
}
