// effective_weight: y = widen(w), p = [b − b0, b0], q = [a; a − a0]      oracle: lib/reference/effective_weight.ts
//
// What a product with K = 2 r then makes y + s p q = w + s (b a − b0 a0) of. Written so that p q is zero at the start
// (b = b0, a = a0), whatever the compiler fuses, and so that no large products cancel.
//
// Grid      one invocation per two elements of y (and element of p and q), 64 a workgroup.
// Bindings  1 w [out, in] as words   2 a [r, in]   3 b [out, r]   4 a0 [r, in]   5 b0 [out, r]
//           6 y f32 [out, in]   7 p f32 [out, 2 r]   8 q f32 [2 r, in]; p and q are written if r > 0
// Consts    FORMAT  0 f32   1 f16   2 bf16
struct Uniforms { out: u32, in: u32, r: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> a0: array<f32>;
@group(0) @binding(5) var<storage, read> b0: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<storage, read_write> p: array<f32>;
@group(0) @binding(8) var<storage, read_write> q: array<f32>;

fn pair(i: u32) -> vec2f {
  if (FORMAT == 0) { return bitcast<vec2f>(vec2u(w[2u * i], w[min(2u * i + 1u, u.out * u.in - 1u)])); }
  let word = w[i];
  if (FORMAT == 1) { return unpack2x16float(word); }
  return bitcast<vec2f>(vec2u(word << 16u, word & 0xffff0000u));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  let size = u.out * u.in;
  if (2u * i < size) {
    let value = pair(i);
    y[2u * i] = value.x;
    if (2u * i + 1u < size) { y[2u * i + 1u] = value.y; }
  }
  if (i < u.out * u.r) {
    let row = i / u.r;
    let start = b0[i];
    p[i + row * u.r] = b[i] - start;
    p[i + (row + 1u) * u.r] = start;
  }
  if (i < u.r * u.in) {
    q[i] = a[i];
    q[i + u.r * u.in] = a[i] - a0[i];
  }
}
