// scale_columns_backward: ds[l, j] += sum of x[i, j] dy[i, j] over the t rows of group l
//                                                                       oracle: lib/reference/scale_columns.ts
// Grid      one invocation an element of ds, 64 a workgroup.
// Bindings  1 x f32 [g t, d]   2 dy f32 [g t, d]   3 ds f32 [g, d]
struct Uniforms { size: u32, d: u32, t: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> ds: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let at = (group.x + group.y * groups.x) * 64u + local;
  if (at >= u.size) { return; }
  let first = at / u.d * u.t * u.d + at % u.d;
  var sum = 0.0;
  for (var i = 0u; i < u.t; i++) { sum += x[first + i * u.d] * dy[first + i * u.d]; }
  ds[at] += sum;
}
