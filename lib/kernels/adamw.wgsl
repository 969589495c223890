// adamw: one update of all trainable parameters, with the gradient clipped to a global norm and then set to zero
//                                                                        oracle: lib/reference/adamw.ts
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 gradient   2 parameters   3 m   4 v, all f32 [n] as vec4   5 norm f32, whose element `at` is
//           the gradient's global norm
// rest1 = 1 − β₁, rest2 = 1 − β₂, first = 1 / (1 − β₁ᵗ), second = 1 / (1 − β₂ᵗ), decay = 1 − lr λ: from the host, in
// float64, as 1 − f32(0.999) is off by 1e-5 of itself
struct Uniforms {
  quads: u32, rate: f32, beta1: f32, rest1: f32, beta2: f32, rest2: f32, eps: f32, decay: f32, first: f32, second: f32, max_norm: f32, at: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(5) var<storage, read> norm: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.quads) { return; }
  var g = gradient[i];
  if (u.max_norm > 0.0) { g *= min(1.0, u.max_norm / (norm[u.at] + 1e-6)); }
  let mean = u.beta1 * m[i] + u.rest1 * g;
  let square = u.beta2 * v[i] + u.rest2 * g * g;
  m[i] = mean;
  v[i] = square;
  gradient[i] = vec4f();
  parameters[i] = parameters[i] * u.decay - u.rate * (mean * u.first) / (sqrt(square * u.second) + u.eps);
}
