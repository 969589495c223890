// effective_weight: y = widen(w), p = [b − b0, b0], q = [a; a − a0]      oracle: lib/reference/effective_weight.ts
//
// What a product with K = 2 r then makes y + s p q = w + s (b a − b0 a0) of. Written so that p q is zero at the start
// (b = b0, a = a0), whatever the compiler fuses, and so that no large products cancel.
//
// Grid      one invocation per four elements of y (and Factor of p and q), 64 a workgroup.
// Bindings  1 w [out, in] as Words   2 a [r, in]   3 b [out, r]   4 a0 [r, in]   5 b0 [out, r]
//           6 y f32 [out, in] as vec4   7 p f32 [out, 2 r]   8 q f32 [2 r, in]; p and q are written if there are factors
// Consts    FORMAT, WIDTH name the aliases
// Alias     Words holds four elements of w, which `widen` takes apart; Factor is vec4f where rows of the factors are made of them, else f32
//           (prepended by effective_weight.ts). Counts of factors are in Factors.
struct Uniforms { quads: u32, a_size: u32, b_size: u32, r: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<Words>;
@group(0) @binding(2) var<storage, read> a: array<Factor>;
@group(0) @binding(3) var<storage, read> b: array<Factor>;
@group(0) @binding(4) var<storage, read> a0: array<Factor>;
@group(0) @binding(5) var<storage, read> b0: array<Factor>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> p: array<Factor>;
@group(0) @binding(8) var<storage, read_write> q: array<Factor>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i < u.quads) { y[i] = widen(w[i]); }
  if (i < u.b_size) {
    let row = i / u.r;
    let start = b0[i];
    p[i + row * u.r] = b[i] - start;
    p[i + (row + 1u) * u.r] = start;
  }
  if (i < u.a_size) {
    q[i] = a[i];
    q[i + u.a_size] = a[i] - a0[i];
  }
}
