// matmul_plain: c[z] = scale · op(a[z]) op(b[z]) (+ c[z])      oracle: lib/reference/matmul.ts
//
// One output an invocation; the form of the product (nn, nt, tn) lies in the strides.
//
// Grid      16 × 16 outputs a workgroup; dispatch (⌈n / 16⌉, ⌈m / 16⌉, batch).
// Bindings  1 a f32 [batch, m, k] or [batch, k, m]   2 b f32 [batch, k, n] or [batch, n, k]   3 c f32 [batch, m, n]
struct Uniforms {
  m: u32, n: u32, k: u32,
  a_row: u32, a_sum: u32, b_sum: u32, b_column: u32,
  accumulate: u32, scale: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= u.n || id.y >= u.m) { return; }
  var p = id.z * u.m * u.k + id.y * u.a_row;
  var q = id.z * u.k * u.n + id.x * u.b_column;
  var sum = 0.0;
  for (var l = 0u; l < u.k; l++) {
    sum += a[p] * b[q];
    p += u.a_sum;
    q += u.b_sum;
  }
  let i = (id.z * u.m + id.y) * u.n + id.x;
  var old = 0.0;
  if (u.accumulate != 0u) { old = c[i]; }
  c[i] = old + u.scale * sum;
}
