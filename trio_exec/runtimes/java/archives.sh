# Run once while the image is built: compiles the compile tool and writes two
# archives of parsed and verified classes (class data sharing). They take most
# of the start-up time away from the compiler and from programs.
#
# The archive for programs replaces the JDK's default one, so that any JVM uses
# it without an option. It may hold classes of the JDK only: with application
# classes in it, it would be refused for every other class path.
set -eu
here=/usr/local/lib/trio-exec
work=$(mktemp -d)
cd "$work"
cp "$here/Training.java" "$here/Broken.java" .
echo Training.java >good
echo Broken.java >bad

# The compiler's pool of tasks is not exported to others.
pool=jdk.compiler/com.sun.tools.javac.api
mkdir tool
javac -proc:none --add-exports $pool=ALL-UNNAMED -d tool "$here/Compile.java"
printf 'Main-Class: trioexec.Compile\nAdd-Exports: %s\n' $pool >manifest
jar --create --file "$here/compile.jar" --manifest manifest -C tool .
compile="java -XX:+UseSerialGC"

# What the compiler loads for a good program and for a bad one.
$compile -XX:DumpLoadedClassList=good.list -jar "$here/compile.jar" good
! $compile -XX:DumpLoadedClassList=bad.list -jar "$here/compile.jar" bad 2>/dev/null
# What the program loads. It ends with an uncaught error, on purpose.
! printf 'Ann\n3 4.5\nlast\n' \
  | "$here/run" -XX:+UseSerialGC -XX:DumpLoadedClassList=run -Djava.class.path=.build \
      .build/main-class >/dev/null 2>&1

# Joins class lists. The numbers in them count within one list only, and classes
# of loaders other than the JDK's own cannot be told without them.
join() { cat "$@" | grep -v ' source: ' | sed 's/ id: .*//' | awk '!seen[$0]++'; }
join good.list bad.list >compile.list
join /opt/java/lib/classlist run | grep -v Training >run.list

java -Xshare:dump -XX:SharedClassListFile=run.list >/dev/null
java -Xshare:dump -XX:SharedClassListFile=compile.list \
  -XX:SharedArchiveFile="$here/compile.jsa" -cp "$here/compile.jar" >/dev/null

# An archive that does not fit its JVM is ignored without a word at run time;
# here that is an error.
$compile -Xshare:on -XX:SharedArchiveFile="$here/compile.jsa" -jar "$here/compile.jar" good
printf 'Ann\n3 4.5\nlast\n' \
  | "$here/run" -XX:+UseSerialGC -Xshare:on -Djava.class.path=.build .build/main-class 2>&1 \
  | grep -q 'Hello, Ann'

cd /
rm -rf "$work" "$here"/*.java "$here/archives.sh"
