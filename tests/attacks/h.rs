//! Group H: evading allow-lists and injection detection.

crate::attacks! {
    h1_constants_are_not_in_the_fingerprint,
    h2_utility_statements_collide,
    h3_depth_cut_off,
    h4_digest_truncation,
    h5_same_text_other_object,
    h6_poisoned_learning,
    h7_libinjection,
    h8_tautologies,
    h9_blind_and_out_of_band,
    h10_injection_inside_the_allowed_shape,
}
