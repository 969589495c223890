// importance: I = |θ g|, Ī ← β Ī + (1 − β) I, then Ū ← β Ū + (1 − β) |I − Ī|      oracle: lib/reference/importance.ts
//
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 parameters   2 gradient   3 mean Ī   4 uncertainty Ū, all f32 [n] as vec4
// rest = 1 − β: from the host, in float64
struct Uniforms { quads: u32, beta: f32, rest: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> uncertainty: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.quads) { return; }
  let now = abs(parameters[i] * gradient[i]);
  let smoothed = u.beta * mean[i] + u.rest * now;
  mean[i] = smoothed;
  uncertainty[i] = u.beta * uncertainty[i] + u.rest * abs(now - smoothed);
}
