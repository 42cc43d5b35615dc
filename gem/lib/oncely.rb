# Where the program is that this gem carries.
module Oncely
  # The path of the program.
  def self.program
    File.expand_path("../libexec/oncely", __dir__)
  end
end
