# What scripts/mutants knows of mutants/list: perl mutants.pl LIST ACT ARGS..
use strict;
use warnings;

my ($list, $act, @rest) = @ARGV;

sub read_file {
    my ($path) = @_;
    open(my $in, "<", $path) or die "$path: $!\n";
    local $/;
    return <$in>;
}

sub write_file {
    my ($path, $text) = @_;
    open(my $out, ">", $path) or die "$path: $!\n";
    print $out $text;
    close($out) or die "$path: $!\n";
}

my (@all, %by_name, $now);
my $number = 0;
for my $line (split /\n/, read_file($list)) {
    $number++;
    next if $line =~ /^#/;
    if ($line =~ /^mutant (\S+): (.+)/) {
        $now = { name => $1, what => $2, old => "", new => "", alone => 0, statement => 0 };
        push @all, $now;
        $by_name{$1} = $now;
    }
    elsif ($line eq "") { undef $now }
    elsif (!$now) { die "$list:$number: a line outside of a mutant\n" }
    elsif ($line =~ /^(file|test) (.+)/) { $now->{$1} = $2 }
    elsif ($line =~ /^(alone|statement)$/) { $now->{$1} = 1 }
    elsif ($line =~ /^-(.*)/) { $now->{old} .= "$1\n" }
    elsif ($line =~ /^\+(.*)/) { $now->{new} .= "$1\n" }
    else { die "$list:$number: not understood: $line\n" }
}

sub one {
    my ($name) = @_;
    return $by_name{$name} // die "there is no mutant `$name`; scripts/mutants --list names them\n";
}

# The function around a mutant's lines, as rustfmt writes one: (first line of its body, line of its closing brace),
# counted from 0; nothing where the lines stand outside of every function.
sub around {
    my ($mutant, $text) = @_;
    my $lines = [split /\n/, $text, -1];
    my $first = substr($text, 0, index($text, $mutant->{old})) =~ tr/\n//;
    my $last = $first + ($mutant->{old} =~ tr/\n//) - 1;
    my ($own) = $lines->[$first] =~ /^(\s*)/;
    for (my $at = $first - 1; $at >= 0; $at--) {
        next unless $lines->[$at] =~ /^(\s*)(?:pub(?:\([^)]*\))? )?(const )?(?:async )?fn \w/;
        my ($indent, $const) = ($1, $2);
        next if length($indent) >= length($own);
        return if $const;
        my $open = $at;
        $open++ while $open < $first && $lines->[$open] !~ /\{$/;
        my $close = $open + 1;
        $close++ while $close < @$lines && $lines->[$close] ne "$indent}";
        return if $open >= $first || $close <= $last;
        return ($open + 1, $close);
    }
    return;
}

# Where a statement's text is kept, and who reads it there.
my $texts = "crates/usher-db/src/statement.rs";
my @readers = ("crates/usher-db/src/lite/connection.rs", "crates/usher-db/src/pg/connection.rs");

# The part of a statement that lies on this line, as it is at run time.
sub fragment {
    my ($line) = @_;
    $line =~ s/^\s*(?:[A-Z_]+: \w+ = ")?//;
    $line =~ s/(?:";|\s*\\)?\s*$//;
    return $line;
}

# A statement is no function: its text is changed where it is read.
sub plant_statements {
    my ($tree, @mutants) = @_;
    return unless @mutants;
    my $arms = "";
    for my $mutant (@mutants) {
        my $module = $mutant->{file} =~ s{^crates/usher/src/(.*)\.rs$}{usher/$1}r =~ s{/}{::}gr;
        my ($old, $new) = map { fragment($_) } $mutant->{old}, $mutant->{new};
        $arms .= "            Ok(\"$mutant->{name}\") => (\"${module}::\", r#\"$old\"#, r#\"$new\"#),\n";
    }
    write_file("$tree/$texts", read_file("$tree/$texts") . <<"END");
impl Statement {
    pub(crate) fn planted(&self) -> &'static str {
        let (module, old, new) = match std::env::var("MUTANT").as_deref() {
$arms            _ => return self.text,
        };
        let here = self.name.starts_with(module) && self.text.contains(old);
        if here { self.text.replacen(old, new, 1).leak() } else { self.text }
    }
}
END
    for my $reader (@readers) {
        my $text = read_file("$tree/$reader");
        $text =~ s/statement\.text\b/statement.planted()/g or die "$reader reads no statement\n";
        write_file("$tree/$reader", $text);
    }
}

if ($act eq "names") { print "$_->{name}\n" for @all }
elsif ($act eq "list") { printf "%-32s %s\n", $_->{name}, $_->{what} for @all }
elsif ($act eq "field") { print one($rest[0])->{$rest[1]}, "\n" }
elsif ($act eq "together") { print "$_\n" for grep { !one($_)->{alone} } @rest }
elsif ($act eq "alone") { print "$_\n" for grep { one($_)->{alone} } @rest }
elsif ($act eq "tests") {
    my %filters;
    for my $name (@rest) {
        my ($crate, $binary, @named) = split " ", one($name)->{test};
        # Those of several nodes run apart, for they alone are given a server.
        my $nodes = (grep { /^nodes::/ } @named) ? 1 : 0;
        $filters{$nodes}{"$crate $binary"}{$_} = 1 for @named;
    }
    for my $of (map { $filters{$_} } sort keys %filters) {
        print join(" ", $_, sort keys %{ $of->{$_} }), "\n" for sort keys %$of;
    }
}
elsif ($act eq "check") {
    my $wrong = 0;
    my $say = sub { print STDERR "@_\n"; $wrong = 1 };
    for my $mutant (@all) {
        my $path = "$rest[0]/$mutant->{file}";
        my $text = -f $path ? read_file($path) : "";
        my $times = () = $text =~ /\Q$mutant->{old}\E/g;
        if ($times != 1) { $say->("$mutant->{name}: stands $times times in $mutant->{file}") }
        elsif (!$mutant->{alone} && !$mutant->{statement} && !around($mutant, $text)) {
            $say->("$mutant->{name}: stands in no function; give it a line `alone`, or `statement`");
        }
    }
    exit $wrong;
}
elsif ($act eq "apply") {
    my ($tree, $name) = @rest;
    my $mutant = one($name);
    my $text = read_file("$tree/$mutant->{file}");
    my $at = index($text, $mutant->{old});
    substr($text, $at, length $mutant->{old}) = $mutant->{new};
    write_file("$tree/$mutant->{file}", $text);
}
elsif ($act eq "plant") {
    my ($tree, @names) = @rest;
    my %files;
    push @{ $files{ one($_)->{file} } }, one($_) for grep { !one($_)->{statement} } @names;
    plant_statements($tree, grep { $_->{statement} } map { one($_) } @names);
    for my $file (sort keys %files) {
        my $text = read_file("$tree/$file");
        my @lines = split /\n/, $text, -1;
        my %bodies;
        for my $mutant (@{ $files{$file} }) {
            my ($begin, $end) = around($mutant, $text) or die "$mutant->{name}: stands in no function\n";
            push @{ $bodies{$begin}{mutants} }, $mutant;
            $bodies{$begin}{end} = $end;
        }
        # From the last function to the first, so that line numbers above stay what they are.
        for my $begin (sort { $b <=> $a } keys %bodies) {
            my $end = $bodies{$begin}{end};
            my $body = join("\n", @lines[$begin .. $end - 1]) . "\n";
            my $planted = "";
            for my $mutant (@{ $bodies{$begin}{mutants} }) {
                my $other = $body;
                substr($other, index($other, $mutant->{old}), length $mutant->{old}) = $mutant->{new};
                $planted .= "if std::env::var_os(\"MUTANT\").is_some_and(|on| on == \"$mutant->{name}\") {\n$other} else ";
            }
            splice(@lines, $begin, $end - $begin, split(/\n/, "$planted\{\n$body}"));
        }
        write_file("$tree/$file", join("\n", @lines));
    }
}
elsif ($act eq "restore") {
    my ($root, $tree, @names) = @rest;
    my @files = ($texts, @readers);
    push @files, one($_)->{file} for @names;
    write_file("$tree/$_", read_file("$root/$_")) for @files;
}
else { die "no such act: $act\n" }
