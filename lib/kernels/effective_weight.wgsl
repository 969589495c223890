// effective_weight: y = widen(w) + s Σ_k ((b_k − b0_k) a_k + b0_k (a_k − a0_k))      oracle: lib/reference/linear.ts
//
// That is w + s (B A − B0 A0), written so that it is w bit for bit at the start (b = b0, a = a0), whatever the
// compiler fuses, and so that no large products cancel.
//
// Grid      one invocation per ROWS rows and two columns of y, (⌈in / 2 / 64⌉, ⌈out / ROWS⌉, 1) workgroups of 64.
// Bindings  1 w [out, in] as words   2 a [r, in]   3 b [out, r]   4 a0 [r, in]   5 b0 [out, r]   6 y f32 [out, in]
// Modes     start: 0 no a0, b0 (both are zero)   1 a0 and b0 given;   trained: 0 a, b are taken as zero (y = w − s B0 A0)
// Consts    FORMAT  0 f32   1 f16   2 bf16
struct Uniforms { out: u32, in: u32, r: u32, start: u32, trained: u32, s: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> a0: array<f32>;
@group(0) @binding(5) var<storage, read> b0: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

fn widen(i: u32) -> f32 {
  if (FORMAT == 0) { return bitcast<f32>(w[i]); }
  let word = w[i / 2u];
  if (FORMAT == 1) { return select(unpack2x16float(word).x, unpack2x16float(word).y, (i & 1u) == 1u); }
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (i & 1u) == 1u));
}

fn pair(i: u32, two: bool) -> vec2f {
  return vec2f(widen(i), select(0.0, widen(i + u32(two)), two));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let j = id.x * 2u;
  if (j >= u.in) { return; }
  let two = j + 1u < u.in;
  let next = j + u32(two);
  let first = id.y * 4u;
  var sum: array<vec2f, 4>;
  for (var k = 0u; k < u.r; k++) {
    var ak = vec2f();
    var start = vec2f();
    if (u.trained == 1u) { ak = vec2f(a[k * u.in + j], a[k * u.in + next]); }
    if (u.start == 1u) { start = vec2f(a0[k * u.in + j], a0[k * u.in + next]); }
    for (var i = 0u; i < 4u; i++) {
      let at = min(first + i, u.out - 1u) * u.r + k;
      var bk = 0.0;
      var b0k = 0.0;
      if (u.trained == 1u) { bk = b[at]; }
      if (u.start == 1u) { b0k = b0[at]; }
      sum[i] += (bk - b0k) * ak + b0k * (ak - start);
    }
  }
  for (var i = 0u; i < min(4u, u.out - first); i++) {
    let at = (first + i) * u.in + j;
    let value = pair(at, two) + u.s * sum[i];
    y[at] = value.x;
    if (two) { y[at + 1u] = value.y; }
  }
}
