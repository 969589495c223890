// cycle_backward: dx[i, k] = sum of dy[i, j] over j = k, k + d, … < wide     oracle: lib/reference/cycle.ts
//
// Grid      one invocation an element of dx, 64 a workgroup.
// Bindings  1 dy f32 [n, wide]   2 dx f32 [n, d]
struct Uniforms { n: u32, d: u32, wide: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let at = (group.x + group.y * groups.x) * 64u + local;
  if (at >= u.n * u.d) { return; }
  let row = at / u.d * u.wide;
  var sum = 0.0;
  for (var j = at % u.d; j < u.wide; j += u.d) { sum += dy[row + j]; }
  dx[at] = sum;
}
