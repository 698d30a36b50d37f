# Run once while the image is built: precompiles headers that programs commonly
# begin with, and writes down for compile.cpp which of them a program brings in
# anyhow.
#
# GCC takes a precompiled header for what -include names, and for the first
# #include of a source file, if there is a "<header>.gch" beside the header and
# the options are the same. The latter is kept to <bits/stdc++.h>, because what GCC
# says about an error is not quite the same with it: it does not name the line of
# that #include. Here that is better than an error after 2.4 s and 280 MB instead
# of 0.5 s and 100 MB.
set -eu
# As in the compile command of language.toml.
options="-std=gnu++20 -O2"
here=/usr/local/lib/trio-exec
# Best first: the first one is taken that holds nothing but what a program asked
# for. Each is 30 to 65 MB, so there are few. On top of <iostream>, <chrono> takes
# 600 ms to compile, the others 40 to 70 ms each; <map> takes 25.
combined="chrono,iostream algorithm,iostream,vector iostream,memory,vector iostream,vector iostream"

cd $here

# The files that a #include of a standard header reads; nothing if there is no such.
closure() {
  echo "#include <$1>" | g++ $options -x c++ -M - 2>/dev/null | tr -s ' \\' '\n' | grep '^/' || true
}

# Precompiles a header, and notes which standard headers it holds.
precompile() {
  g++ $options -x c++-header -o "$1.gch" "$1"
  # GCC passes over what does not fit without a word; -H marks what it uses.
  echo | g++ $options -x c++ -fsyntax-only -H -include "$1" - 2>&1 | grep -qF "! $1.gch" ||
    { echo "the precompiled $1 is not used" >&2; exit 1; }
  echo "$1 $2" >> precompiled
}

precompile "$(closure bits/stdc++.h | grep '/bits/stdc++.h$')" bits/stdc++.h
mkdir precompiled-headers
for names in $combined; do
  header=$here/precompiled-headers/$names.h
  echo "$names" | tr , '\n' | sed 's/.*/#include <&>/' > "$header"
  precompile "$header" "$(echo "$names" | tr , ' ')"
done

# A header brings in another if it reads all files that the other one reads. All
# headers of C++ are looked at, and those of C by both their names.
names=$(cd /usr/include/c++/14 && find . -maxdepth 1 -type f ! -name '*.gch' | sed 's|^\./||')
for name in bits/stdc++.h $names $(echo "$names" | sed -n 's/^c\([a-z0-9]*\)$/\1.h/p'); do
  echo "$name" $(closure "$name")
done | sort -u | awk -v held="$(cut -d ' ' -f 2- precompiled | tr '\n' ' ')" '
  NF > 1 { closure[$1] = $0; for (i = 2; i <= NF; i++) reads[$1, $i] }
  END {
    split(held, list, " ")
    for (i in list) precompiled[list[i]]
    for (name in closure) {
      line = name
      for (other in precompiled) {
        missing = 0
        n = split(closure[other], files, " ")
        for (i = 2; i <= n; i++) if (!((name, files[i]) in reads)) missing++
        if (n > 1 && !missing) line = line " " other
      }
      print line
    }
  }' | sort > standard-headers
grep -qx 'bits/stdc++.h .*' standard-headers
