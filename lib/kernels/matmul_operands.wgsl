// What matmul_tile and matmul_block share, prepended to both: the operands of a product, read element by element with zeros
// beyond their ends. The kernel's own text says T, the side of a block; KT, A_BY_K and B_BY_K are its consts; Words,
// one(i) and four(i), elements of B as f32, are prepended by read_weight.ts.
struct Uniforms {
  m: u32, n: u32, k: u32,
  splits: u32, span: u32,
  accumulate: u32, scale: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<Words>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

fn load_a(z: u32, row: u32, k: u32, end: u32) -> f32 {
  if (row >= u.m || k >= end) { return 0.0; }
  if (A_BY_K == 1) { return a[(z * u.k + k) * u.m + row]; }
  return a[(z * u.m + row) * u.k + k];
}

fn load_b(z: u32, k: u32, column: u32, end: u32) -> f32 {
  if (column >= u.n || k >= end) { return 0.0; }
  if (B_BY_K == 1) { return one((z * u.k + k) * u.n + column); }
  return one((z * u.n + column) * u.k + k);
}

// Four of B side by side along its inner axis, which is a multiple of 4.
fn load_four_of_b(z: u32, k: u32, column: u32, end: u32) -> vec4f {
  if (column >= u.n || k >= end) { return vec4f(); }
  if (B_BY_K == 1) { return four((z * u.k + k) * u.n + column); }
  return four((z * u.n + column) * u.k + k);
}

// Where element `i` of a block lies, (k, other axis), so that neighbouring invocations load neighbouring elements.
fn place(i: u32, by_k: u32) -> vec2u {
  if (by_k == 1) { return vec2u(i / T, i % T); }
  return vec2u(i % KT, i / KT);
}
