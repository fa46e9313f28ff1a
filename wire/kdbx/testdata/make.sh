#!/usr/bin/env bash
# Makes the databases beside it anew, with KeePassXC, with kpcli (which writes
# version 3.1) and, for ciphers that neither offers on a command line, with
# pykeepass. On Debian: apt-get install keepassxc kpcli python3-pykeepass
set -euo pipefail
cd "$(dirname "$0")"
export QT_QPA_PLATFORM=offscreen
chmod -f u+w ./*.key || true
rm -f ./*.kdbx ./*.key ./id_test ./id_test.pub
password='pass word äöü'
ssh-keygen -q -t ed25519 -N '' -C test -f id_test

fill() { # DATABASE
	printf '%s\n' "$password" | keepassxc-cli mkdir -q "$1" Servers
	printf '%s\n' "$password" | keepassxc-cli mkdir -q "$1" Servers/Berlin
	printf '%s\n%s\n%s\n' "$password" 'first-secret' 'first-secret' | keepassxc-cli add -q -p -u root --url ssh://web1.example.com:2222 "$1" Servers/Berlin/web1
	printf '%s\n%s\n%s\n' "$password" 's3cr€t & <xml>' 's3cr€t & <xml>' | keepassxc-cli add -q -p -u app --url postgresql://db.example.com "$1" 'Servers/<db> & co'
	printf '%s\n%s\n%s\n' "$password" 'old-secret' 'old-secret' | keepassxc-cli add -q -p -u changed "$1" Changed
	printf '%s\n%s\n%s\n' "$password" 'new-secret' 'new-secret' | keepassxc-cli edit -q -p "$1" Changed
	printf '%s\n%s\n%s\n' "$password" 'thrown-away' 'thrown-away' | keepassxc-cli add -q -p -u gone "$1" Gone
	printf '%s\n' "$password" | keepassxc-cli rm -q "$1" Gone
	printf '%s\n' "$password" | keepassxc-cli add -q -u deploy "$1" Key
	printf '%s\n' "$password" | keepassxc-cli attachment-import -q "$1" Key id_test id_test
}

printf '%s\n%s\n' "$password" "$password" | keepassxc-cli db-create -q -p -t 100 keepassxc.kdbx
fill keepassxc.kdbx

# A key file that KeePassXC makes, with and without a password.
keepassxc-cli db-create -q --set-key-file keepassxc.key -t 100 keyfile.kdbx
keepassxc-cli add -q --no-password -k keepassxc.key -u root keyfile.kdbx web1

# The same entries in the other version, ciphers and derivations.
PASSWORD=$password perl -MFile::KDBX -MFile::KDBX::Constants=:all -MEncode -e '
	my $password = decode_utf8($ENV{PASSWORD});
	my %argon2 = (KDF_PARAM_ARGON2_PARALLELISM, 3, KDF_PARAM_ARGON2_MEMORY, 1 << 20, KDF_PARAM_ARGON2_ITERATIONS, 3,
		KDF_PARAM_ARGON2_VERSION, 0x13);
	sub variant {
		my ($name, %to) = @_;
		my $kdbx = File::KDBX->load("keepassxc.kdbx", $password);
		$kdbx->version($to{version});
		$kdbx->cipher_id($to{cipher});
		$kdbx->headers->{inner_random_stream_id} = $kdbx->inner_headers->{inner_random_stream_id} = $to{stream};
		$kdbx->compression_flags($to{compression});
		$kdbx->kdf_parameters($to{kdf});
		$kdbx->dump_file("$name.kdbx", $password, randomize_seeds => 1);
	}
	variant("v31-aes-salsa20", version => KDBX_VERSION_3_1, cipher => CIPHER_UUID_AES256, stream => STREAM_ID_SALSA20, compression => COMPRESSION_GZIP,
		kdf => {KDF_PARAM_UUID, KDF_UUID_AES, KDF_PARAM_AES_ROUNDS, 6000, KDF_PARAM_AES_SEED, "s" x 32});
	variant("v4-chacha20-argon2d", version => KDBX_VERSION_4_0, cipher => CIPHER_UUID_CHACHA20, stream => STREAM_ID_CHACHA20, compression => COMPRESSION_GZIP,
		kdf => {KDF_PARAM_UUID, KDF_UUID_ARGON2D, KDF_PARAM_ARGON2_SALT, "d" x 32, %argon2});
	variant("v41-aes-argon2id-plain", version => KDBX_VERSION_4_1, cipher => CIPHER_UUID_AES256, stream => STREAM_ID_CHACHA20, compression => COMPRESSION_NONE,
		kdf => {KDF_PARAM_UUID, KDF_UUID_ARGON2ID, KDF_PARAM_ARGON2_SALT, "i" x 32, %argon2});
	variant("v4-twofish", version => KDBX_VERSION_4_0, cipher => CIPHER_UUID_TWOFISH, stream => STREAM_ID_CHACHA20, compression => COMPRESSION_GZIP,
		kdf => {KDF_PARAM_UUID, KDF_UUID_AES, KDF_PARAM_AES_ROUNDS, 100, KDF_PARAM_AES_SEED, "s" x 32});
'

# What another program makes of itself: Argon2d with 64 MiB.
/usr/bin/python3 -c '
import pykeepass, sys
kp = pykeepass.create_database("pykeepass.kdbx", password=sys.argv[1])
kp.add_entry(kp.root_group, "web1", "root", "first-secret", url="ssh://web1.example.com:2222")
kp.save()
' "$password"
