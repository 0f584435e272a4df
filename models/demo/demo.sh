#!/bin/bash
# The walk that `make demo` shows. DLC names the program; CARD names a file whose marked block gets the figures.
set -euo pipefail
cd "$(dirname "$0")/../.."

demo=models/demo
out=build/demo
stages=6
began=$(date +%s%N)
dlc=${DLC:-target/release/dlc}
mkdir -p "$out"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' faint=$'\e[2m' plain=$'\e[0m'; else bold='' faint='' plain=''; fi
seconds() { awk -v from="$1" -v to="$(date +%s%N)" 'BEGIN { printf "%.1f", (to - from) / 1e9 }'; }
number=0
stage() {
    number=$((number + 1)); started=$(date +%s%N)
    printf '\n%s[%d/%d] %s%s\n' "$bold" "$number" "$stages" "$1" "$plain"
}
ended() { printf '%s      %s s%s\n' "$faint" "$(seconds "$started")" "$plain"; }
# Shows a command, then runs it.
exec 3>&1
show() { printf '%s  $ %s%s\n' "$faint" "$(printf '%s ' "$@" | sed "s|$dlc|dlc|; s| *$||")" "$plain" >&3; "$@"; }

stage "Build dlc (the first time takes minutes, LLVM is linked in)"
cargo build --release --quiet -p dlc
ended

stage "A model with one broken line, its error, the fix"
if show "$dlc" check "$demo/broken.model"; then
    echo "the broken model was accepted" >&2
    exit 1
fi
echo "  The pooling was forgotten. The fix:"
{ diff --unified=0 "$demo/broken.model" models/digits.model || true; } | grep '^[-+] *x |>' | sed 's/^/    /'
show "$dlc" check models/digits.model
ended

stage "Train it on the digits that come along"
show "$dlc" train models/digits.model --overwrite --out "$out/run"
weights=$out/run/checkpoints/best.safetensors
show "$dlc" eval models/digits.model --weights "$weights" --save "$out/held-out" --format json > "$out/eval.json"
accuracy=$(sed -n 's/.*"accuracy": \([0-9.]*\).*/\1/p' "$out/eval.json" | awk '{ printf "%.1f", 100 * $1 }')
rows=$(sed -n 's/.*"rows": \([0-9]*\).*/\1/p' "$out/eval.json")
echo "  accuracy on $rows held-out digits: $accuracy %"
# The same training on one thread and on two: the compiled libraries with the weights inside are equal, byte for byte.
for threads in 1 2; do
    "$dlc" train models/digits.model --quiet --threads $threads --set train.epochs=2 --overwrite \
        --out "$out/threads-$threads" > "$out/threads-$threads.txt"
    "$dlc" compile models/digits.model --quiet --emit lib \
        --embed-weights "$out/threads-$threads/checkpoints/last.safetensors" -o "$out/threads-$threads"
done
if cmp -s "$out/threads-1/libdigits.a" "$out/threads-2/libdigits.a"; then
    bits="same bits on 1 and 2 threads"
else
    echo "training on 1 and 2 threads differs" >&2
    exit 1
fi
ended

stage "A static library with a header, the weights inside"
show "$dlc" compile models/digits.model --embed-weights "$weights" --emit lib,header -o "$out"
size=$(wc -c < "$out/libdigits.a" | awk '{ printf "%.0f", $1 / 1024 }')
ended

stage "A C program that classifies the held-out digits with it"
show cc -O2 -I "$out" "$demo/classify.c" "$out/libdigits.a" -lm -lpthread -o "$out/classify"
show "$dlc" run models/digits.model --input "image=$out/held-out/image.npy" --weights "$weights" \
    --output "logits=$out/logits.npy"
read -r right total micros apart < <("$out/classify" "$out/held-out/image.npy" "$out/held-out/label.npy" "$out/logits.npy")
echo "  $right of $total right, $micros µs a digit; largest difference from dlc run: $apart"
awk -v apart="$apart" 'BEGIN { exit !(apart <= 1e-5) }' || { echo "C and dlc run differ" >&2; exit 1; }
ended

stage "The page about the training"
echo "  $PWD/$out/run/report.html"
ended

card=$(cat <<END
accuracy      $accuracy % of $rows held-out digits
library       $size KiB with the weights inside, linked without anything but libm and libpthread
from C        $micros µs a digit, one at a time
repeatable    $bits
next          dlc inspect models/digits.model --bind batch=1
END
)
printf '\n%s\n%s\n%s\n(all in %s s)\n' "────────────────────────────────────────" "$card" "────────────────────────────────────────" "$(seconds "$began")"

if [ -n "${CARD:-}" ]; then
    awk -v card="$card" '
        /<!-- card -->/ { print; print "```text"; print card; print "```"; skip = 1; next }
        /<!-- end of card -->/ { skip = 0 }
        !skip { print }
    ' "$CARD" > "$CARD.tmp" && mv "$CARD.tmp" "$CARD"
    # The first curve of the page, as a picture of its own: it brings the colours that the page would give it.
    awk '
        /<svg / { inside = 1; sub(/<svg /, "<svg width=\"720\" height=\"390\" ") }
        inside { print }
        /<svg / { print "<style>svg { color: #1c2024; background: #ffffff; } @media (prefers-color-scheme: dark) { svg { color: #e6e8eb; background: #15181c; } }</style>" }
        /<\/svg>/ { if (inside) exit }
    ' "$out/run/report.html" > docs/training.svg.tmp && mv docs/training.svg.tmp docs/training.svg
    echo "figures written to $CARD, the curve to docs/training.svg"
fi
