//! However the input is cut into pieces, the same requests and the same error come out.
#![no_main]

use kiba::lexer::{Lexer, Limits, Protocol};
use libfuzzer_sys::fuzz_target;

/// The requests so far, and what ended them.
type Outcome = (Vec<Vec<Vec<u8>>>, Option<Protocol>);

fuzz_target!(|data: &[u8]| {
    let Some((&[cut, limits], input)) = data.split_first_chunk() else { return };
    let limits = if limits % 2 == 0 { Limits::trusted(1 << 20) } else { Limits::unauthenticated() };
    let whole = lex([input.len()].into_iter(), input, &limits);
    let single = lex(std::iter::repeat_n(1, input.len()), input, &limits);
    assert_eq!(whole, single);
    // Pieces of pseudo-random lengths, with what has been read dropped in between.
    let mut state = u32::from(cut);
    let lengths = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as usize % (usize::from(cut) + 1) + 1
    });
    assert_eq!(whole, lex(lengths, input, &limits));
});

fn lex(lengths: impl Iterator<Item = usize>, input: &[u8], limits: &Limits) -> Outcome {
    let (mut lexer, mut buffer, mut spans) = (Lexer::default(), Vec::new(), Vec::new());
    let (mut requests, mut rest) = (Vec::new(), input);
    for length in lengths {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        buffer.extend_from_slice(piece);
        rest = after;
        loop {
            match lexer.next(&mut buffer, &mut spans, limits) {
                Ok(Some(range)) => {
                    requests.push(spans[range].iter().map(|span| span.of(&buffer).to_vec()).collect());
                    if lexer.is_at_end(&buffer) {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
        let dropped = lexer.keep_from(&spans);
        assert!(dropped <= buffer.len());
        buffer.drain(..dropped);
        lexer.rebase(dropped, &mut spans);
        if rest.is_empty() {
            break;
        }
    }
    (requests, None)
}
