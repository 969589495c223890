// non_finite: flag |= 1 if an element of x is NaN or infinite            oracle: lib/reference/non_finite.ts
//
// Told from the exponent's bits, as comparisons with NaN are not to be trusted.
//
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 x u32 [n] as vec4, the bits of f32   2 flags u32, of which element `at` is or-ed
struct Uniforms { n: u32, at: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> flags: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (4u * i >= u.n) { return; }
  let inside = 4u * i + vec4u(0u, 1u, 2u, 3u) < vec4u(u.n);
  let full = (x[i] & vec4u(0x7f800000u)) == vec4u(0x7f800000u);
  if (any(inside & full)) { atomicOr(&flags[u.at], 1u); }
}
