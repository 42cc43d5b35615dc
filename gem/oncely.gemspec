# Built by dist/gem, which puts the binary and the file VERSION beside this one.
Gem::Specification.new do |spec|
  spec.name        = "oncely"
  spec.version     = File.read(File.join(__dir__, "VERSION")).strip
  spec.platform    = Gem::Platform.new("#{Gem::Platform.local.cpu}-linux")
  spec.summary     = "Work that must happen once, when something else happens."
  spec.description = "The program oncely for Linux, and `rails generate oncely:task`."
  spec.authors     = ["The oncely contributors"]
  spec.licenses    = ["MIT", "Apache-2.0"]
  spec.files       = Dir.chdir(__dir__) do
    Dir["exe/*", "lib/**/*.rb", "libexec/*", "README.md", "LICENSE-*", "THIRD-PARTY.txt"].sort
  end
  spec.bindir      = "exe"
  spec.executables = ["oncely"]
  spec.required_ruby_version = ">= 2.7"
end
