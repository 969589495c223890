// matmul_own: c[z] = scale · op(a[z]) op(b[z]) (+ c[z])      oracle: lib/reference/matmul.ts
//
// Each invocation owns a TM × TN tile of c and loads its rows of A and columns of B by itself: no subgroups, no
// workgroup memory, any size. The form of the product (nn, nt, tn) lies in the strides.
//
// Grid      one invocation a tile, tiles in rows of ⌈n / TN⌉; dispatch (⌈tiles / 32⌉, 1, batch).
// Bindings  1 a f32 [batch, m, k] or [batch, k, m]   2 b f32 [batch, k, n] or [batch, n, k]   3 c f32 [batch, m, n]
// Consts    TM, TN rows and columns of a tile
struct Uniforms {
  m: u32, n: u32, k: u32,
  a_row: u32, a_k: u32, b_k: u32, b_column: u32,
  accumulate: u32, scale: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let across = (u.n + TN - 1) / TN;
  let row = id.x / across * TM;
  let column = id.x % across * TN;
  if (row >= u.m) { return; }
  let a_start = id.z * u.m * u.k + row * u.a_row;
  let b_start = id.z * u.k * u.n + column * u.b_column;
  var acc: array<f32, TM * TN>;
  var x: array<f32, TM>;
  for (var k = 0u; k < u.k; k++) {
    for (var i = 0u; i < TM; i++) { x[i] = a[a_start + i * u.a_row + k * u.a_k]; }
    for (var j = 0u; j < TN; j++) {
      let y = b[b_start + j * u.b_column + k * u.b_k];
      for (var i = 0u; i < TM; i++) { acc[i * TN + j] = fma(x[i], y, acc[i * TN + j]); }
    }
  }
  for (var i = 0u; i < TM; i++) {
    for (var j = 0u; j < TN; j++) {
      if (row + i < u.m && column + j < u.n) {
        let at = (id.z * u.m + row + i) * u.n + column + j;
        var old = 0.0;
        if (u.accumulate != 0) { old = c[at]; }
        c[at] = old + u.scale * acc[i * TN + j];
      }
    }
  }
}
