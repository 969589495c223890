// relu_backward: dx = dy where x > 0, else 0                             oracle: lib/reference/relu.ts
//
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 x f32 [n]   2 dy f32 [n]   3 dx f32 [n], all as vec4
struct Uniforms { quads: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.quads) { return; }
  dx[i] = select(dy[i], vec4f(0.0), x[i] <= vec4f(0.0));
}
