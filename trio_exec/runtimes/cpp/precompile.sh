# Run once while the image is built: precompiles headers that programs commonly
# begin with.
#
# GCC takes a precompiled header for the first #include of a source file, if
# there is a "<header>.gch" beside the header and the options are the same; the
# program means what it means without. That is why each is precompiled alone: a
# common one with everything in it, forced upon each program, would be faster
# still for many, but would bring names along that the program did not ask for
# (`using namespace std; int count;` is an error once <algorithm> is there).
#
# At 0.5 CPU, <iostream> takes a hello world from 0.6 s to 0.2 s. With
# <bits/stdc++.h> it is the memory that counts: some 100 MB, where GCC needs 280 MB
# without.
set -eu
# As in the compile command of language.toml.
options="-std=gnu++20 -O2"

for name in algorithm bits/stdc++.h iostream string vector; do
  header=$(echo "#include <$name>" | g++ $options -x c++ -M - | tr ' ' '\n' | grep "/$name\$")
  g++ $options -x c++-header -o "$header.gch" "$header"
  # GCC passes over what does not fit without a word; -H marks what it uses.
  echo "#include <$name>" | g++ $options -x c++ -fsyntax-only -H - 2>&1 | grep -q '^! ' ||
    { echo "the precompiled <$name> is not used" >&2; exit 1; }
done
